"""What the platform may do wrong, or somebody in its name: status, log line, what the user reads.

The list is that of the protocol reference 13, rule 8. The simulator does the harm; the services run
as in production, two replicas each.
"""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest
from queqiao_common.testing import eventually
from queqiao_testbed.configuration import TOKEN
from queqiao_wechat.signature import sign

CLAIMING, WINDOW = 950, 4400  # ms that ingress waits for a claim; that a callback is held for
APOLOGY = "该公众号提供的服务出现故障，请稍后再试"
"""WeChat's own words for an answer that it cannot use; nobody but the platform causes it here."""
PUZZLED = "暂时还看不懂这种消息，请用文字告诉我吧。"
LABEL = "\n（AI 生成）"
ANSWER = f"答：你好{LABEL}"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One fault: `answers` are status and outcome of each delivery, `logs` fields of its lines."""

    fault: str
    answers: tuple[tuple[int, str], ...] = ((200, "reply"),)
    logs: tuple[dict[str, Any], ...] = ({"event": "callback.answered", "answer": "reply"},)
    reads: tuple[str, ...] = (ANSWER,)
    options: dict[str, Any] = field(default_factory=dict)
    accounts: tuple[str, ...] = ("auto", "plain")


def refused(fault: str, status: int, reason: str, **fields: Any) -> Case:
    line = {"event": "callback.rejected", "level": "warning", "status": status, "reason": reason}
    return Case(
        fault=fault, answers=((status, "invalid"),), logs=(line,), reads=(APOLOGY,), **fields
    )


REPLIED = {"event": "callback.answered", "answer": "reply"}
CASES = (
    Case(
        fault="duplicate",
        answers=((200, "reply"), (200, "reply")),
        logs=(REPLIED | {"attempt": 1}, REPLIED | {"attempt": 2}),
    ),
    Case(fault="out_of_order", options={"seconds": 0.5}),
    Case(fault="slow_body", options={"seconds": 0.5}),
    Case(fault="split_body"),
    Case(fault="chunked_body"),
    refused("huge_body", 413, "body_too_large"),
    refused("wrong_signature", 403, "bad_signature"),
    refused("bad_appid", 403, "undecryptable", accounts=("auto",)),
    Case(fault="stale_timestamp"),  # refused where `[ingress] max_age` says so
    Case(
        fault="unknown_type",
        logs=(REPLIED | {"msg_type": "hologram", "fields": ["Content"]},),
        reads=(PUZZLED,),
    ),
    Case(
        fault="unknown_fields",
        logs=(REPLIED | {"fields": ["Another", "Nested.Deep.Deeper", "Strange"]},),
    ),
    Case(fault="empty_content", reads=(PUZZLED,)),
    refused("invalid_utf8", 400, "malformed"),
    refused("entity_expansion", 400, "malformed"),
    refused("external_entity", 400, "malformed"),
    Case(
        fault="event_collision",
        answers=((200, "reply"), (200, "success")),
        logs=(
            {"event": "callback.answered", "answer": "ignored", "platform_event": "view"},
            REPLIED,
        ),
    ),
    Case(fault="old_key", accounts=("auto",)),  # taken, and answered under the same key
    Case(fault="split_cdata", reads=(f"答：你好 a[b[0]] >1 ]] > end{LABEL}",)),
)


class Logs:
    """What both replicas of ingress have logged since it was made."""

    def __init__(self, system) -> None:
        self._files = [system.replica("ingress", number).log for number in (0, 1)]
        self._from = [file.stat().st_size for file in self._files]

    def lines(self, account: str) -> list[dict[str, Any]]:
        found = []
        for file, start in zip(self._files, self._from, strict=True):
            text = file.read_bytes()[start:].decode()
            found += [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        return [line for line in found if line.get("account") == account]

    async def eventually(self, account: str, *, count: int) -> list[dict[str, Any]]:
        """The lines, once there are `count`."""

        def enough():
            lines = self.lines(account)
            return lines if len(lines) >= count else None

        return list(await eventually(enough))


async def struck(
    system, case: Case, account: str, tries: int = 3
) -> tuple[str, Logs, tuple[tuple[int, str], ...]]:
    """Have a user write while the platform does one thing wrong: who, the logs, what came of it.

    Where a busy machine spoils it another user tries: what is wrong is wrong at once.
    """
    user, logs = f"{case.fault}-{account}-{tries}", Logs(system)
    rule = {"kind": case.fault, "account": account, "user": user, "count": 1} | case.options
    await system.control("PUT", "/faults", json=[rule])
    await system.say(account, user, "你好")
    found = await answers(system, account, user, count=len(case.answers))
    if tries > 1 and await was_kept_waiting(system, account, user):
        return await struck(system, case, account, tries - 1)
    return user, logs, found


async def deliveries(system, account: str, user: str) -> list[dict[str, Any]] | None:
    """What came of each delivery to a user; None while one is under way."""
    pushes = await system.control("GET", "/pushes", params={"account": account, "user": user})
    found = [one for push in pushes for one in push["deliveries"]]
    settled = all(push["result"] != "pending" for push in pushes)
    return found if settled and all(one["outcome"] for one in found) else None


async def was_kept_waiting(system, account: str, user: str) -> bool:
    """Whether a busy machine had WeChat come again, or let the time of a callback pass."""
    found = await deliveries(system, account, user) or []
    return any(
        one["ms"] > WINDOW or (one["ms"] > CLAIMING and one["status"] in (408, 503))
        for one in found
    )


async def answers(system, account: str, user: str, *, count: int) -> tuple[tuple[int, str], ...]:
    """Status and outcome of each delivery, sorted, once there are `count` and none is under way."""

    async def enough():
        found = await deliveries(system, account, user)
        return found if found and len(found) >= count else None

    found = await eventually(enough, within=60.0)
    return tuple(sorted((one["status"] or 0, one["outcome"]) for one in found))


async def reads(system, account: str, user: str, *, count: int) -> tuple[str, ...]:
    """What the user has read, once there are `count` texts."""

    async def enough():
        entries = await system.transcript(account, user)
        texts = [one["text"] for one in entries if one["who"] != "user"]
        return texts if len(texts) >= count else None

    return tuple(await eventually(enough, within=60.0))


def matches(line: dict[str, Any], expected: dict[str, Any]) -> bool:
    return all(line.get(name) == value for name, value in expected.items())


@pytest.mark.parametrize(
    ("case", "account"),
    [pytest.param(case, account) for case in CASES for account in case.accounts],
    ids=[f"{case.fault}-{account}" for case in CASES for account in case.accounts],
)
async def test_whatever_goes_wrong_is_answered_logged_and_shown_as_it_should_be(
    system, case, account
):
    """No fault of one request may end in an error 500, a silence, or another user's trouble."""
    user, logs, found = await struck(system, case, account)

    assert found == case.answers
    assert await reads(system, account, user, count=len(case.reads)) == case.reads
    lines = await logs.eventually(account, count=len(case.logs))
    for expected in case.logs:
        assert any(matches(line, expected) for line in lines), (expected, lines)
    assert len(lines) == len(case.logs)
    assert "你好" not in json.dumps(lines, ensure_ascii=False)


@pytest.mark.parametrize("account", ["auto", "plain"])
async def test_every_message_of_a_burst_is_answered_alone_or_with_its_neighbours(system, account):
    """Which share an answer depends on when each was screened; that none is left out does not."""
    case = Case(fault="burst", options={"times": 2}, answers=((200, "reply"),) * 3)
    user, logs, found = await struck(system, case, account)
    replies = found.count((200, "reply"))
    texts = await reads(system, account, user, count=replies)

    assert replies >= 1
    assert found == ((200, "reply"),) * replies + ((200, "success"),) * (3 - replies)
    assert len(texts) == replies
    assert sum(text.count("你好") for text in texts) == 3
    lines = await logs.eventually(account, count=3)
    assert [matches(line, REPLIED) for line in lines] == [True] * 3


async def test_a_body_that_never_comes_costs_its_sender_the_connection(system):
    """WeChat waits for 5 s; who writes a byte a minute would hold a connection for ever."""
    logs, port = Logs(system), system.ports.services["ingress"][0]
    query = urlencode(
        {"signature": sign(TOKEN, "1767225600", "1"), "timestamp": "1767225600", "nonce": "1"}
    )
    head = f"POST /wechat/plain?{query} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n<xml>"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head.encode())

    answer = await asyncio.wait_for(reader.read(), timeout=20)

    writer.close()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert answer.endswith(b"\r\n\r\n")
    [line] = await eventually(lambda: logs.lines("plain"))
    assert (line["reason"], line["status"]) == ("body_too_slow", 408)
