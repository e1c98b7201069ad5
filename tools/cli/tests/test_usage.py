"""What answers took and cost: as the replicas of llm write it, summed by whoever asks."""

import argparse
import json
from zoneinfo import ZoneInfo

import pytest
from queqiao_cli import usage
from queqiao_cli.__main__ import parser
from queqiao_common import provision
from queqiao_common.bus import connect
from queqiao_common.kv import JetStreamDocuments
from queqiao_common.settings import Nats
from queqiao_common.topology import USAGE
from queqiao_llm.usage import Line, Shard, Tally, UserDay, shard_key, user_key

SHANGHAI = ZoneInfo("Asia/Shanghai")
NEW_YEAR_MS = 1_767_196_800_000  # in Shanghai
DAY = "20260101"


def shard(**models):
    return Shard({Line("main", "tutor", name).key: Tally(*one) for name, one in models.items()})


@pytest.fixture
async def options(nats_url, tmp_path):
    """Two replicas wrote a day, and one user asked."""
    bus = await connect(Nats(url=nats_url), "test")
    await provision.apply_patiently(bus, scale=0.01)
    shards = JetStreamDocuments(bus, USAGE, Shard)
    await shards.create(shard_key(DAY, "a"), shard(large=(3, 3000, 900, 60_000)))
    await shards.create(
        shard_key(DAY, "b"), shard(large=(1, 1000, 100, 20_000), small=(5, 500, 50, 1_500))
    )
    users = JetStreamDocuments(bus, USAGE, UserDay)
    await users.create(
        user_key(DAY, "main", "c_1"), UserDay({"tutor": Tally(9, 4500, 1050, 81_500)})
    )
    file = tmp_path / "queqiao.toml"
    file.write_text(f'[nats]\nurl = "{nats_url}"\nstream_bytes = 0.01\n')
    yield argparse.Namespace(config=file, day=DAY, days=1, by="model", json=False)
    await bus.api(f"STREAM.DELETE.{USAGE.stream}")
    await bus.close()


@pytest.mark.broker
async def test_a_model_has_used_what_all_replicas_say(options, capsys):
    assert await usage.show(options) == 0

    head, large, small, whole = capsys.readouterr().out.splitlines()
    assert head.split() == ["DAY", "MODEL", "QUESTIONS", "TOKENS", "IN", "OUT", "COST", "(CNY)"]
    assert large.split() == ["2026-01-01", "large", "4", "4,000", "1,000", "0.0800"]
    assert small.split() == ["2026-01-01", "small", "5", "500", "50", "0.0015"]
    assert whole.split() == ["all", "9", "4,500", "1,050", "0.0815"]


@pytest.mark.broker
@pytest.mark.parametrize(
    ("by", "name"), [("account", "main"), ("persona", "tutor"), ("user", "main.c_1")]
)
async def test_the_same_is_told_of_accounts_personas_and_users(options, capsys, by, name):
    options.by, options.json = by, True

    await usage.show(options)

    assert json.loads(capsys.readouterr().out) == [
        {
            "day": "2026-01-01",
            "name": name,
            "questions": 9,
            "input_tokens": 4500,
            "output_tokens": 1050,
            "cost": 0.0815,
            "currency": "CNY",
        }
    ]


@pytest.mark.broker
async def test_a_day_without_answers_says_so(options, capsys):
    options.day = "20251231"

    await usage.show(options)

    assert capsys.readouterr().out == "nothing was used\n"


def test_days_are_those_of_the_operators_calendar():
    before = usage.wanted(None, 2, now_ms=NEW_YEAR_MS - 1, zone=SHANGHAI)

    assert before == ["20251230", "20251231"]
    assert usage.wanted(None, 1, now_ms=NEW_YEAR_MS, zone=SHANGHAI) == ["20260101"]
    assert usage.wanted("20250102", 9, now_ms=NEW_YEAR_MS, zone=SHANGHAI) == ["20250102"]


@pytest.mark.parametrize("wrong", [["--day", "yesterday"], ["--days", "0"], ["--by", "openid"]])
def test_what_cannot_be_meant_is_refused(wrong):
    with pytest.raises(SystemExit):
        parser().parse_args(["usage", *wrong])


def test_a_day_is_written_as_people_write_it():
    assert parser().parse_args(["usage", "--day", "2026-01-31"]).day == "20260131"
