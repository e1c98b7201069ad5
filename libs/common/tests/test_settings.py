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


SPARK = """
[[models]]
id = "xinghuo"
protocol = "spark"
base_url = "wss://spark-api.xf-yun.com/v3.5/chat"
model = "generalv3.5"
app_id = "a1"
api_key = "${SPARK_KEY}"
api_secret = "${SPARK_SECRET}"
"""


@pytest.mark.parametrize(
    ("protocol", "url"),
    [
        ("openai", "http://127.0.0.1:8092/v1"),
        ("openai", "https://api.example.com/v1"),
        ("kserve", "grpc://triton:8001"),
        ("kserve", "grpcs://[::1]:8001"),
        ("realtime", "wss://api.example.com/v1"),
    ],
)
def test_each_protocol_has_its_addresses(protocol, url):
    text = GOOD.replace(
        'base_url = "https://api.example.com/v1"', f'protocol = "{protocol}"\nbase_url = "{url}"'
    )

    assert parse(text).models[0].base_url == url


@pytest.mark.parametrize(
    ("protocol", "url", "like"),
    [
        ("openai", "api.example.com/v1", "https://host (or http://host)"),
        ("openai", "https:///v1", "https://host (or http://host)"),
        ("kserve", "http://triton:8000", "grpcs://host (or grpc://host)"),
        ("kserve", "triton:8001", "grpcs://host (or grpc://host)"),
        ("kserve", "grpc://triton:port", "grpcs://host (or grpc://host)"),
        ("realtime", "https://api.example.com/v1", "wss://host (or ws://host)"),
    ],
)
def test_an_address_of_another_protocol_is_found_at_start(protocol, url, like):
    """Else the first user would find it."""
    text = GOOD.replace(
        'base_url = "https://api.example.com/v1"', f'protocol = "{protocol}"\nbase_url = "{url}"'
    )

    assert problems(text) == (
        f"models[main].base_url: protocol {protocol!r} needs an address like {like}",
    )


def test_spark_needs_all_that_it_signs_with():
    without = SPARK.replace('app_id = "a1"\n', "").replace('api_secret = "${SPARK_SECRET}"\n', "")

    assert problems(GOOD + without) == (
        "models[xinghuo].app_id: required by protocol 'spark'",
        "models[xinghuo].api_secret: required by protocol 'spark'",
    )


def test_llm_is_given_all_secrets_of_its_models():
    needs = settings.SERVICE_SECRETS["llm"]

    assert parse(GOOD + SPARK, needs=()).models[1].app_id == "a1"
    assert problems(GOOD + SPARK, ENVIRONMENT | {"SPARK_KEY": "k"}, needs=needs) == (
        "models[xinghuo].api_secret: environment variable SPARK_SECRET is not set",
    )


def test_a_table_within_a_model_is_read_and_checked_like_any_other():
    tensors = GOOD.replace("[routes]", '[models.kserve]\ntemplate = "llama"\nouput = "x"\n[routes]')

    assert set(problems(tensors)) == {
        "models[main].kserve.template: invalid enum value 'llama'",
        "models[main].kserve.ouput: unknown key (did you mean 'output'?)",
    }


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


def test_a_secret_inside_a_table_of_a_table_is_asked_for_by_its_path():
    text = """
[moderation.provider]
base_url = "http://127.0.0.1/v1"
api_key = "${MODERATION_KEY}"
"""
    parse(text, {})
    assert problems(text, {}, needs=("moderation.provider.api_key",)) == (
        "moderation.provider.api_key: environment variable MODERATION_KEY is not set",
    )
