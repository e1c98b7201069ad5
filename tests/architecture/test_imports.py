"""Imports point one way: `__main__ → service → nouns and adapters → libs`."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = ("ingress", "moderation", "context", "llm", "egress")
SHELL = {"__main__", "service", "app"}


def imports(path: Path) -> Iterator[str]:
    """Yield the full names of the modules that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


@pytest.mark.parametrize("service", SERVICES)
def test_no_service_imports_another(service):
    """They are linked by subjects alone, so that each can be released alone."""
    others = {f"queqiao_{name}" for name in SERVICES if name != service}
    tools = {
        "queqiao_simulator",
        "queqiao_localmodel",
        "queqiao_cli",
        "queqiao_testbed",
        "queqiao_toolserver",
    }
    for path in modules(ROOT / "services" / service / "src"):
        for name in imports(path):
            assert name.split(".")[0] not in others | tools, f"{path.name} imports {name}"


@pytest.mark.parametrize("service", SERVICES)
def test_nouns_do_not_import_the_shell(service):
    package = f"queqiao_{service}"
    for path in modules(ROOT / "services" / service / "src"):
        if path.stem in SHELL:
            continue
        for name in imports(path):
            assert name not in {f"{package}.service", f"{package}.__main__"}, f"{path}: {name}"


def test_libraries_import_no_service():
    for path in modules(ROOT / "libs" / "common" / "src") + modules(
        ROOT / "libs" / "wechat" / "src"
    ):
        for name in imports(path):
            top = name.split(".")[0]
            assert top not in {f"queqiao_{service}" for service in SERVICES}, f"{path}: {name}"


def test_the_protocol_library_stands_alone():
    """Whoever needs WeChat's protocol and no broker can use it as it is."""
    for path in modules(ROOT / "libs" / "wechat" / "src"):
        for name in imports(path):
            assert name.split(".")[0] not in {"queqiao_common", "nats"}, f"{path}: {name}"


@pytest.mark.parametrize("service", SERVICES)
def test_main_is_a_table_of_contents(service):
    """Under 40 lines, no branches: whoever opens a service sees what it does."""
    path = ROOT / "services" / service / "src" / f"queqiao_{service}" / "__main__.py"
    [main] = [
        node
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.AsyncFunctionDef) and node.name == "main"
    ]
    assert main.end_lineno is not None
    assert main.end_lineno - main.lineno < 40
    assert not [node for node in ast.walk(main) if isinstance(node, ast.If | ast.Try)]
