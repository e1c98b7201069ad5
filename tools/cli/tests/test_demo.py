import msgspec
import pytest
from queqiao_cli import demo
from queqiao_cli.running import EVERY_SECRET, packaged
from queqiao_common.settings import parse
from queqiao_simulator.settings import Settings
from queqiao_wechat.crypto import Cipher

EVERYONE = [demo.by_local_model(8091), demo.by_echo(8091), demo.by_openai("", "")]


def completed(answering: demo.Answering, operator: demo.Table | None = None) -> demo.Table:
    return demo.queqiao_table(
        packaged("demo.toml"),
        answering,
        operator or {},
        nats_url="nats://127.0.0.1:4222",
        simulator_url="http://127.0.0.1:8090",
        ingress_url="http://127.0.0.1:8080",
    )


def platform(answering: demo.Answering, replicas: int = 1) -> Settings:
    table = demo.simulator_table(
        packaged("simulator.toml"), answering, ingress_port=8080, replicas=replicas
    )
    return msgspec.convert(table, Settings)


@pytest.mark.parametrize("answering", EVERYONE, ids=lambda one: one.title)
def test_the_services_accept_their_half(answering):
    config = parse(completed(answering), {"OPENAI_API_KEY": "k"}, needs=EVERY_SECRET)

    assert [(one.id, one.kind, one.mode) for one in config.accounts] == [
        ("service", "service", "auto"),
        ("active", "service", "active"),
        ("reader", "subscription", "passive"),
        ("mini", "miniprogram", "active"),
        ("app", "wecom", "auto"),
        ("desk", "wecom_kf", "active"),
        ("bot", "wecom_bot", "stream"),
    ]
    assert config.routes["default"] == (config.models[0].id,)


def test_both_halves_share_the_keys():
    """Otherwise every callback of the demonstration is refused."""
    ours = parse(completed(demo.by_echo(8091)), {})
    theirs = platform(demo.by_echo(8091))

    for account, other in zip(ours.accounts, theirs.accounts, strict=True):
        assert (account.id, account.kind) == (other.id, other.kind)
        assert account.appid == ("" if account.kind == "wecom_bot" else other.appid)
        assert account.token.reveal() == other.token
        assert account.aes_key.reveal() == other.aes_key
        assert account.secret.reveal() == other.secret
        assert other.sealing == "safe"
        Cipher(other.aes_key, other.appid)


def test_callbacks_go_to_every_replica():
    [service, _, reader, *_] = platform(demo.by_echo(8091), replicas=2).accounts

    assert service.callbacks == (
        "http://127.0.0.1:8080/wechat/service",
        "http://127.0.0.1:8081/wechat/service",
    )
    assert reader.callbacks[1] == "http://127.0.0.1:8081/wechat/reader"


def test_the_page_says_that_a_toy_answers_and_how_to_change_that():
    """A visitor who takes its nonsense for ours leaves."""
    page = platform(demo.by_local_model(8091)).page

    assert "玩具模型" in page.notice
    assert "toy model" in page.notice_en
    assert all("OPENAI_API_KEY" in notice for notice in (page.notice, page.notice_en))
    assert platform(demo.by_openai("", "")).page.notice == ""


def test_a_real_model_needs_no_process_of_ours():
    assert demo.by_openai("", "").process is None
    assert demo.by_operator({"models": [{"model": "some-model"}]}, "queqiao.toml").process is None


def test_the_key_of_a_model_is_never_written():
    table = completed(demo.by_openai("https://models.example/v1/", "some-model"))

    assert table["models"] == [
        {
            "id": "main",
            "base_url": "https://models.example/v1",
            "model": "some-model",
            "api_key": "${OPENAI_API_KEY}",
        }
    ]


def test_an_operators_file_gives_all_but_its_accounts():
    """Prompts and words can be tried before any real user sees them."""
    operator = {
        "nats": {"url": "nats://production.example:4222"},
        "accounts": [{"id": "main", "appid": "wx1", "token": "${TOKEN}", "persona": "clerk"}],
        "models": [{"id": "m", "base_url": "https://models.example/v1", "model": "some-model"}],
        "routes": {"default": ["m"]},
        "personas": {"clerk": {"prompt": "你是店员。"}},
        "context": {"max_messages": 4},
    }

    config = parse(completed(demo.by_operator(operator, "queqiao.toml"), operator), {})

    assert config.nats.url == "nats://127.0.0.1:4222"
    assert "main" not in {one.id for one in config.accounts}
    assert {one.persona for one in config.accounts} == {"clerk"}
    assert config.context.max_messages == 4


def test_the_welcome_names_the_page_the_model_and_the_way_out():
    text = demo.welcome(
        demo.by_local_model(8091), page="http://127.0.0.1:8090/", config="q.toml", exporter=""
    )

    for part in ("http://127.0.0.1:8090/", "toy model", "Ctrl-C", "q.toml", "OTEL_EXPORTER"):
        assert part in text
