"""The configuration file: every error at once, by its key path, and no secret in any of them."""

import tomllib

import pytest
from queqiao_common import settings
from queqiao_common.errors import SettingsError
from queqiao_common.settings import Secret

GOOD = """
[[accounts]]
id = "main"
appid = "wx0123456789abcdef"
token = "${WX_TOKEN}"
secret = "${WX_SECRET}"

[[models]]
id = "main"
base_url = "https://api.example.com/v1"
model = "some-model"

[routes]
default = ["main"]
"""
ENVIRONMENT = {"WX_TOKEN": "t0ken", "WX_SECRET": "s3cret"}


def parse(text, environ=ENVIRONMENT, **options):
    return settings.parse(tomllib.loads(text), environ, **options)


def problems(text, environ=ENVIRONMENT, **options):
    with pytest.raises(SettingsError) as error:
        parse(text, environ, **options)
    return error.value.problems


def test_a_small_file_is_enough():
    config = parse(GOOD)

    assert config.accounts[0].token.reveal() == "t0ken"
    assert config.accounts[0].mode == "auto"
    assert config.context.max_messages == 10


def test_every_problem_is_named_by_its_key_path():
    wrong = GOOD.replace('id = "main"\nappid', 'id = "main"\npasive_window = 3\nappid')
    wrong += 'extra = ["nobody"]\n[context]\nmax_messages = "ten"\n[nats]\nurl = "${NOWHERE}"\n'

    assert set(problems(wrong)) == {
        "accounts[main].pasive_window: unknown key (did you mean 'passive_window'?)",
        "context.max_messages: expected `int`, got `str`",
        "nats.url: environment variable NOWHERE is not set",
    }


def test_a_route_to_a_model_that_does_not_exist_is_found():
    assert problems(GOOD.replace('default = ["main"]', 'default = ["mian"]')) == (
        "routes.default: no model has the id 'mian'",
    )


def test_a_missing_section_key_is_required_by_name():
    assert problems(GOOD.replace('model = "some-model"\n', "")) == ("models[main].model: required",)


def test_a_service_needs_only_its_own_secrets():
    """Ingress must start without the AppSecret in its environment."""
    config = parse(GOOD, {"WX_TOKEN": "t"}, needs=("accounts.token",))

    assert config.accounts[0].token.reveal() == "t"
    assert problems(GOOD, {"WX_TOKEN": "t"}, needs=("accounts.secret",)) == (
        "accounts[main].secret: environment variable WX_SECRET is not set",
    )


def test_a_secret_can_come_from_a_mounted_file(tmp_path):
    path = tmp_path / "token"
    path.write_text("from-file\n")

    config = parse(GOOD.replace("${WX_TOKEN}", f"${{file:{path}}}"))

    assert config.accounts[0].token.reveal() == "from-file"


def test_secrets_are_never_printed():
    config = parse(GOOD)

    assert "t0ken" not in repr(config)
    assert repr(Secret("x")) == "Secret(***)"


def test_a_subscription_account_cannot_be_told_to_send_actively():
    text = GOOD.replace(
        'id = "main"\nappid', 'id = "main"\nkind = "subscription"\ndelivery = "active"\nappid'
    )

    [problem] = problems(text)

    assert problem.startswith("accounts[main].delivery: a subscription account")


def test_two_accounts_with_one_id_are_refused():
    again = GOOD + GOOD.split("[[models]]", maxsplit=1)[0]

    assert problems(again) == ("accounts[main].id: used more than once",)


def test_the_environment_wins_for_the_broker():
    assert parse(GOOD, ENVIRONMENT | {"QUEQIAO_NATS_URL": "nats://b:1"}).nats.url == "nats://b:1"


@pytest.mark.parametrize("text", ["[[accounts", 'accounts = "none"', "nats = 3"])
def test_a_file_that_is_not_what_it_should_be_has_no_traceback(text, tmp_path):
    path = tmp_path / "queqiao.toml"
    path.write_text(text)

    with pytest.raises(SettingsError) as error:
        settings.load(path, {})

    assert error.value.source == str(path)


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(SettingsError, match="no such file"):
        settings.load(tmp_path / "nowhere.toml", {})
