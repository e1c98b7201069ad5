"""Models, their keys and their budgets in the configuration file."""

import tomllib

import pytest
from queqiao_common import settings
from queqiao_common.errors import SettingsError

MODEL = """
[[models]]
id = "main"
base_url = "https://api.example.com/v1"
model = "some-model"
"""
KEYS = 'api_keys = ["${ONE}", "${TWO}"]\n'
ENVIRONMENT = {"ONE": "k3y-1", "TWO": "k3y-2"}


def parse(text, **options):
    return settings.parse(tomllib.loads(text), ENVIRONMENT, **options)


def problems(text, **options):
    with pytest.raises(SettingsError) as error:
        parse(text, **options)
    return error.value.problems


def test_a_model_may_have_several_keys_and_none_of_them_is_ever_printed():
    config = parse(MODEL + KEYS)

    assert [key.reveal() for key in config.models[0].keys] == ["k3y-1", "k3y-2"]
    assert "k3y" not in repr(config)


def test_a_model_without_keys_has_one_that_is_empty():
    assert [key.reveal() for key in parse(MODEL).models[0].keys] == [""]


def test_a_key_that_is_missing_is_named_when_it_is_needed():
    text = MODEL + 'api_keys = ["${ONE}", "${THREE}"]\n'

    assert parse(text)
    assert problems(text, needs=("models.api_keys",)) == (
        "models[main].api_keys: environment variable THREE is not set",
    )


def test_keys_that_are_no_texts_are_named():
    assert problems(MODEL + "api_keys = [7]\n") == ("models[main].api_keys[0]: expected text",)


def test_one_key_and_several_contradict_each_other():
    [problem] = problems(MODEL + 'api_key = "x"\n' + KEYS)

    assert problem.startswith("models[main].api_keys: `api_key` is given too")


def test_a_model_is_limited_where_its_provider_allows_only_so_much():
    assert not parse(MODEL).models[0].is_limited
    assert parse(MODEL + "concurrency = 3\n").models[0].is_limited


def test_nobody_has_a_budget_who_does_not_exist():
    """A tier with a wrong name would silently limit nobody."""
    text = """
[budgets]
timezone = "Mars/Olympus"
[[budgets.tiers]]
id = "vip"
[[budgets.tiers]]
id = "staff"
accounts = ["inner"]
[budgets.accounts.other]
tokens = 5
[budgets.personas.tutro]
questions = 5
"""
    assert set(problems(text)) == {
        "budgets.timezone: no time zone is called 'Mars/Olympus'",
        "budgets.tiers[vip]: names neither `users` nor `accounts`",
        "budgets.tiers[staff].accounts: no account has the id 'inner'",
        "budgets.accounts.other: no account has this id",
        "budgets.personas.tutro: no persona is called so",
    }


def test_budgets_are_read_with_their_tiers_and_ceilings():
    text = """
[budgets]
enabled = true
questions = 20
[[budgets.tiers]]
id = "vip"
users = ["c_abc"]
tokens = 100000
[budgets.ceiling]
cost = 50.0
[budgets.personas.assistant]
questions = 3
"""
    budgets = parse(text).budgets

    assert (budgets.questions, budgets.tiers[0].tokens, budgets.ceiling.cost) == (20, 100_000, 50.0)
    assert budgets.personas["assistant"].questions == 3
