"""`docs/settings.md`: every key of the configuration file."""

from collections.abc import Iterator
from dataclasses import dataclass

from msgspec import Struct, inspect
from queqiao_common.settings import SERVICE_SECRETS, Config

from queqiao_cli.docs.shapes import bare, doc, nested, shapes, table


@dataclass(frozen=True)
class Table:
    """One table of the file: its path as TOML writes it, and its schema."""

    heading: str
    path: str
    kind: type[Struct]


def page() -> str:
    """Write the page."""
    lines = [
        "# Settings",
        "",
        "Generated from `settings.py` by `make docs`: change that.",
        "",
        "One TOML file for all services: `QUEQIAO_CONFIG`, else `queqiao.toml`. `${NAME}` stands",
        "for a variable of the environment, `${file:/path}` for what a file holds (a mounted",
        "secret). Durations are seconds. `queqiao config check FILE` names every mistake.",
        "",
    ]
    for one in tables(Config):
        lines += _section(one)
    lines += [
        "## Which service needs which secret",
        "",
        "The others may be absent from a service's environment.",
        "",
        *table(
            ("service", "secrets"),
            [
                (service, ", ".join(f"`{name}`" for name in names) or "none")
                for service, names in SERVICE_SECRETS.items()
            ],
        ),
        "",
    ]
    return "\n".join(lines)


def tables(kind: type[Struct], path: str = "", heading: str = "") -> Iterator[Table]:
    """Walk the tables of the file, depth first."""
    yield Table(heading or "Without a section of their own", path, kind)
    for field in getattr(inspect.type_info(kind), "fields", ()):
        for inner in nested(field.type):
            at = f"{path}.{field.name}".lstrip(".")
            yield from tables(inner, *_named(at, bare(field.type)))


def _named(at: str, kind: inspect.Type) -> tuple[str, str]:
    """Return path and heading of a table: an array of tables, tables by name, or one table."""
    if isinstance(kind, inspect.VarTupleType | inspect.ListType):
        return at, f"`[[{at}]]`"
    if isinstance(kind, inspect.DictType):
        return f"{at}.<name>", f"`[{at}.<name>]`"
    return at, f"`[{at}]`"


def _section(one: Table) -> list[str]:
    rows = [
        (
            f"`{one.path}.{key.name}`".replace("`.", "`"),
            key.type,
            key.default or "required",
            key.meaning,
        )
        for key in shapes(one.kind)
        if not _is_table(one.kind, key.name)
    ]
    about = doc(one.kind)
    return [
        f"## {one.heading}",
        "",
        *([about, ""] if about else []),
        *table(("key", "type", "default", "meaning"), rows),
        "",
    ]


def _is_table(kind: type[Struct], name: str) -> bool:
    """Whether a key has a table, and so a section, of its own."""
    fields = getattr(inspect.type_info(kind), "fields", ())
    return any(field.name == name and nested(field.type) for field in fields)
