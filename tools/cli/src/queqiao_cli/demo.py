"""What `queqiao demo` runs with: which model answers, and both sides' configurations. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from queqiao_cli.plan import LOOPBACK, Process, model

Table = dict[str, Any]

OPENAI_URL = "https://api.openai.com/v1"
OPENAI_MODEL = "gpt-4o-mini"
OPERATORS_OWN = frozenset({"nats", "accounts", "privacy"})
"""What the demonstration never takes from an operator's file: it has accounts of its own."""

HOW_TO_CONFIGURE = "OPENAI_API_KEY=... [OPENAI_BASE_URL=...] [OPENAI_MODEL=...] make run"


@dataclass(frozen=True, kw_only=True)
class Answering:
    """Who answers in a demonstration.

    `table` are the parts of the configuration that make it so, `notice` the page's banner (and
    `notice_en` the same in English), and `process` the server that has to run for it.
    """

    title: str
    table: Table
    notice: str = ""
    notice_en: str = ""
    process: Process | None = None


def by_operator(table: Table, source: str) -> Answering:
    """Take the models, personas, words and texts of an operator's own file."""
    own = {key: value for key, value in table.items() if key not in OPERATORS_OWN}
    names = ", ".join(
        str(one.get("model", "?")) for one in table["models"] if isinstance(one, dict)
    )
    return Answering(title=f"{names} ({source})", table=own)


def by_openai(base_url: str, name: str) -> Answering:
    """Ask an OpenAI-compatible endpoint; its key stays in the environment."""
    entry = {
        "id": "main",
        "base_url": (base_url or OPENAI_URL).rstrip("/"),
        "model": name or OPENAI_MODEL,
        "api_key": "${OPENAI_API_KEY}",
    }
    return Answering(title=f"{entry['model']} ({entry['base_url']})", table=only(entry))


def by_local_model(port: int) -> Answering:
    """Ask the small model on this machine."""
    return Answering(
        title="a toy model on this machine / 本机的演示小模型",
        table=only(local_entry("local", port)),
        notice=(
            "回答来自本机的玩具模型，常常胡说，只用来看消息怎样走通。"
            f"换成真正的模型：{HOW_TO_CONFIGURE}"
        ),
        notice_en=(
            "A toy model on this machine answers: expect nonsense. "
            f"For a real one: {HOW_TO_CONFIGURE}"
        ),
        process=model("queqiao_localmodel", port),
    )


def by_echo(port: int) -> Answering:
    """Have the questions echoed: all that is left where no model can be had."""
    return Answering(
        title="no model: questions are echoed / 没有模型，只会复述问题",
        table=only(local_entry("echo", port)),
        notice=(f"这里没有可用的模型，回答只是复述问题。换成真正的模型：{HOW_TO_CONFIGURE}"),
        notice_en=(
            "No model is available here: questions are merely echoed. "
            f"For a real one: {HOW_TO_CONFIGURE}"
        ),
        process=model("queqiao_localmodel.fake", port),
    )


def local_entry(name: str, port: int) -> Table:
    """Describe a model server on this machine."""
    return {"id": name, "base_url": f"http://{LOOPBACK}:{port}/v1", "model": name, "timeout": 55.0}


def only(entry: Table) -> Table:
    """Return the configuration in which one model answers everything."""
    return {"models": [entry], "routes": {"default": [entry["id"]]}}


def queqiao_table(
    base: Table,
    answering: Answering,
    operator: Table,
    *,
    nats_url: str,
    simulator_url: str,
    ingress_url: str,
) -> Table:
    """Complete the configuration of the services.

    The demonstration's accounts speak with the persona of the operator's first account.
    """
    accounts = [{**account, "api_base": simulator_url} for account in base["accounts"]]
    for account in operator.get("accounts", [])[:1]:
        if isinstance(account, dict) and "persona" in account:
            accounts = [{**one, "persona": account["persona"]} for one in accounts]
    nats = {**base["nats"], "url": nats_url}
    pages = {**base["pages"], "base_url": ingress_url}
    return {**answering.table, "nats": nats, "accounts": accounts, "pages": pages}


def simulator_table(
    base: Table, answering: Answering, *, ingress_port: int, replicas: int = 1
) -> Table:
    """Complete the configuration of the simulator: its callbacks go to every ingress replica."""
    origins = [f"http://{LOOPBACK}:{ingress_port + index}" for index in range(replicas)]
    accounts = [
        {**account, "callbacks": [f"{origin}/wechat/{account['id']}" for origin in origins]}
        for account in base["accounts"]
    ]
    page = {"notice": answering.notice, "notice_en": answering.notice_en}
    return {**base, "accounts": accounts, "page": page}


def welcome(answering: Answering, *, page: str, config: str, exporter: str) -> str:
    """Say, in two languages, what runs and what to do with it."""
    traces = exporter or "none; set OTEL_EXPORTER_OTLP_ENDPOINT to see each message as one trace"
    rows: Mapping[str, str] = {
        "Chat page  聊天页": page,
        "Answers by 谁回答": answering.title,
        "Settings   配置": config,
        "Logs       日志": "below, each line behind the name of its service / 就在下面",
        "Traces     链路": traces,
        "Stop       停止": "Ctrl-C",
    }
    lines = [f"  {_padded(label, 20)}{value}" for label, value in rows.items()]
    if answering.process is not None:
        lines.append(f"  {_padded('A real model 换模型', 20)}{HOW_TO_CONFIGURE}")
    return "\n".join(["鹊桥 Queqiao is running. 已启动，用浏览器打开聊天页即可对话。", "", *lines])


def _padded(text: str, width: int) -> str:
    """Fill up to a width in a terminal, where a Chinese character takes two columns."""
    return text + " " * (width - sum(2 if ord(char) > 0x2E80 else 1 for char in text))
