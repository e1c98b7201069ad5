"""The configurations that are shipped for the four scenarios."""

import argparse
from pathlib import Path

import pytest
from queqiao_cli.checking import check
from queqiao_cli.knowledge.readers import read
from queqiao_common.settings import load

FOLDER = Path(__file__).parents[3] / "examples/scenarios"
FILES = sorted(FOLDER.glob("*.toml"))
PERSONAS = {"customer-service": "service", "tutor": "tutor", "life": "life", "entertainment": "fun"}


def test_there_is_one_for_each_scenario_and_one_for_all():
    assert {file.stem for file in FILES} == {*PERSONAS, "all"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_passes_the_check_without_any_secret_at_hand(file, capsys):
    assert check(argparse.Namespace(file=file)) == 0

    assert f"{file}: ok" in capsys.readouterr().out


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_tool_and_every_rule_names_something_that_is_there(file):
    config = load(file)
    servers = {server.id for server in config.tools.servers}

    for persona in config.personas.values():
        assert {tool.partition(".")[0] for tool in persona.tools} <= servers
        assert persona.greeting
        assert not persona.cache or not persona.tools
    assert {rule.persona for rule in config.rules} - {""} <= config.personas.keys()


@pytest.mark.parametrize("name", PERSONAS)
def test_the_persona_says_the_same_alone_and_among_all(name):
    """Nobody should have to correct a prompt in two files."""
    alone, together = load(FOLDER / f"{name}.toml"), load(FOLDER / "all.toml")
    persona = PERSONAS[name]

    assert list(alone.personas) == [persona]
    assert alone.personas[persona].prompt == together.personas[persona].prompt
    assert alone.accounts[0].persona == persona


@pytest.mark.parametrize("name", PERSONAS)
def test_each_has_a_page_that_says_how_to_start(name):
    page = (FOLDER.parents[1] / f"docs/scenarios/{name}.md").read_text(encoding="utf-8")

    assert f"examples/scenarios/{name}.toml" in page


def test_each_persona_of_all_can_be_switched_to_by_word_menu_and_code():
    rules = load(FOLDER / "all.toml").rules

    switches = {(rule.on, rule.persona) for rule in rules if rule.persona}
    assert switches == {
        (on, name) for on in ("text", "click", "scan") for name in PERSONAS.values()
    }


def test_the_sample_documents_can_be_read():
    for file in (FOLDER / "knowledge").iterdir():
        assert read(file.name, file.read_bytes())
