"""A system with rules, two personas, notes and agents; users are a test's own."""

from collections.abc import AsyncIterator, Iterator

import pytest
from queqiao_testbed import brokers
from queqiao_testbed.configuration import Options
from queqiao_testbed.system import System, running

SETTINGS = {
    "moderation": {"messages_per_minute": 0},
    "context": {"max_messages": 2},
    "notes": {"enabled": True, "summary_after": 2},
    "cache": {"enabled": False},
    "pages": {"base_url": "https://bot.example", "key": "the key of pages"},
    "personas": {
        "assistant": {"prompt": "你是店员。"},
        "tutor": {"prompt": "你是老师。", "greeting": "同学好"},
    },
    "rules": [
        {"values": ["营业时间"], "reply": "九点到六点"},
        {"on": "click", "values": ["HOURS"], "reply": "九点到六点"},
        {"on": "scan", "values": ["class-1"], "persona": "tutor"},
        {"match": "regex", "values": ["投诉|举报"], "handover": True, "accounts": ["auto"]},
        {"on": "click", "values": ["JOKE"], "ask": "讲个笑话"},
        {"values": ["新品"], "card": {"title": "本周新品", "url": "https://shop.example/new"}},
    ],
}


@pytest.fixture(scope="package")
def talking_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[brokers.Broker]:
    """A broker for this folder: its services are configured unlike those of the others."""
    yield from brokers.started(brokers.make_broker(tmp_path_factory.mktemp("talking-broker")))


@pytest.fixture(scope="package")
async def talking(
    talking_broker: brokers.Broker, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    """One replica of every service: other folders have two."""
    folder = tmp_path_factory.mktemp("talking")
    options = Options(settings=SETTINGS, model={"vision": True})
    async with running(folder, broker_url=talking_broker.url, options=options) as system:
        yield system
