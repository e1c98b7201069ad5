"""Faults that a test may ask for: of API calls, and of pushes. Deterministic given the seed."""

import random
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta, Struct

from queqiao_simulator.envelope import Fields

ApiFaultKind = Literal[
    "errcode",  # answer `errcode` and do nothing
    "http",  # answer HTTP `status` and do nothing
    "delay",  # do it `seconds` later
    "delay_after",  # do it at once, answer `seconds` later
    "disconnect_before",  # close the connection and do nothing
    "disconnect_after",  # do it, then close the connection without an answer
    "revoke_token",  # the token of this call dies before the call
    "text_plain",  # the answer is labelled text/plain
    "kf_empty_page",  # sync_msg: no items, has_more=1, the same cursor
    "kf_send_fail",  # kf/send_msg: accepted, and msg_send_fail later (`fail_type`)
]
PushFaultKind = Literal[
    "duplicate",  # a second delivery while the first is in flight
    "wrong_signature",
    "bad_appid",  # encrypted modes: the receive id is another account's
    "stale_timestamp",  # an hour old
    "unknown_type",
    "empty_content",
    "invalid_utf8",
    "entity_expansion",
    "huge_body",  # more than 1 MB
    "out_of_order",  # held until the user's next push is under way, or `seconds`
    "burst",  # `times` more messages follow at once
    "event_collision",  # another event of the same user in the same second
    "unknown_fields",
    "split_cdata",  # the text holds ]]>, so its CDATA is in two sections
    "external_entity",
    "old_key",  # encrypted modes: with previous_aes_key
    "slow_body",  # the request takes `seconds` to write
    "split_body",  # head and body in many small segments
    "chunked_body",  # Transfer-Encoding: chunked
]
API_KINDS: frozenset[str] = frozenset(get_args(ApiFaultKind))
PUSH_KINDS: frozenset[str] = frozenset(get_args(PushFaultKind))
PATHS: Mapping[str, str] = {
    "kf_empty_page": "/cgi-bin/kf/sync_msg",
    "kf_send_fail": "/cgi-bin/kf/send_msg",
}

HUGE_CHARACTERS = 400_000  # 3 bytes each: more than 1 MB
ENTITIES = (
    b'<!DOCTYPE xml [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    b'<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;">'
    b'<!ENTITY e "&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;">]>'
)


INVALID = b"\xff\xfe\xc3("
INVALID_JSON = re.compile(rb'("content":")', re.IGNORECASE)
EXTERNAL = b'<!DOCTYPE xml [<!ENTITY e SYSTEM "file:///etc/hostname">]>'


class Fault(Struct, forbid_unknown_fields=True, kw_only=True):
    """One rule: what goes wrong, for whom, how often."""

    kind: ApiFaultKind | PushFaultKind
    account: Annotated[str, Meta(description="empty: every account")] = ""
    path: Annotated[str, Meta(description="API path; empty: every path")] = ""
    user: Annotated[str, Meta(description="pushes: openid or name; empty: everyone")] = ""
    count: Annotated[int, Meta(ge=0)] | None = None  # times; None: without end
    probability: Annotated[float, Meta(ge=0, le=1)] = 1.0
    seed: int = 0
    errcode: int = -1
    status: Annotated[int, Meta(ge=400, le=599)] = 500
    seconds: Annotated[float, Meta(ge=0)] = 0.0
    times: Annotated[int, Meta(ge=1, le=1000, description="burst: more messages")] = 5
    fail_type: Annotated[int, Meta(ge=0, le=10, description="of kf_send_fail")] = 0
    fired: Annotated[int, Meta(ge=0, description="times so far; set by the simulator")] = 0


class Faults:
    """The rules in force."""

    def __init__(self) -> None:
        self._rules: list[tuple[Fault, random.Random]] = []

    def replace(self, rules: Iterable[Fault]) -> None:
        """Put these rules in the place of all others."""
        self._rules = [(rule, random.Random(rule.seed)) for rule in rules]

    def listed(self) -> list[Fault]:
        """The rules, with how often each has fired."""
        return [rule for rule, _ in self._rules]

    def of_call(self, account: str, path: str) -> Fault | None:
        """The first rule that strikes this API call; counts it."""
        for rule, dice in self._rules:
            aim = rule.path or PATHS.get(rule.kind, "")
            if rule.kind in API_KINDS and aim in ("", path) and _strikes(rule, dice, account):
                return rule
        return None

    def of_push(self, account: str, users: Iterable[str]) -> Fault | None:
        """The first rule that strikes this push to the user, known by any of these names."""
        names = {"", *users}
        for rule, dice in self._rules:
            if rule.kind not in API_KINDS and rule.user in names and _strikes(rule, dice, account):
                return rule
        return None


def _strikes(rule: Fault, dice: random.Random, account: str) -> bool:
    if rule.account not in ("", account) or rule.fired == rule.count:
        return False
    if dice.random() >= rule.probability:
        return False
    rule.fired += 1
    return True


class _Rules(Struct, forbid_unknown_fields=True):
    faults: list[Fault]


def read(path: Path) -> list[Fault]:
    """Read a TOML file of `[[faults]]`.

    Raises:
        OSError: the file cannot be read.
        msgspec.DecodeError: it is not TOML, or not such rules.
    """
    return msgspec.toml.decode(path.read_bytes(), type=_Rules).faults


def decode(body: bytes) -> list[Fault]:
    """Read `PUT /control/faults`: a list of rules, an object whose `faults` is one, or TOML.

    Raises:
        msgspec.DecodeError: neither JSON nor TOML, or not such rules.
    """
    if body.lstrip().startswith(b"[["):
        return msgspec.toml.decode(body, type=_Rules).faults
    document = msgspec.json.decode(body)
    rules = document.get("faults", []) if isinstance(document, dict) else document
    return msgspec.convert(rules, list[Fault])


def companions(rule: Fault | None, fields: Fields) -> list[Fields]:
    """The pushes that a fault sends after one; a message's MsgId is for the caller to renew."""
    match rule:
        case Fault(kind="burst", times=times):
            return [fields] * times
        case Fault(kind="event_collision"):
            names = ("ToUserName", "FromUserName", "CreateTime")
            common = {name: fields[name] for name in names if name in fields}
            return [{**common, "MsgType": "event", "Event": "VIEW", "EventKey": "collision"}]
        case _:
            return []


def spoil(kind: str, fields: Fields) -> Fields:
    """What a push fault makes of a message's elements."""
    match kind:
        case "unknown_fields":
            strange: Fields = {"Strange": "新", "Nested": {"Deep": {"Deeper": 1}}}
            return {**strange, **fields, "Another": 2}
        case "split_cdata":
            return _saying(f"{fields.get('Content', '')} a[b[0]]>1 ]]> end", fields)
        case "unknown_type":
            return {**fields, "msgtype" if "msgtype" in fields else "MsgType": "hologram"}
        case "empty_content":
            return _saying("", fields)
        case "huge_body":
            return _saying("大" * HUGE_CHARACTERS, fields)
        case _:
            return fields


def _saying(text: str, fields: Fields) -> Fields:
    if "msgtype" in fields:  # an AI bot's
        return {**fields, "text": {"content": text}}
    return {**fields, "Content": text}


def corrupt(kind: str, body: bytes) -> bytes:
    """What a push fault makes of a message's bytes."""
    match kind:
        case "invalid_utf8" if body.startswith(b"{"):
            return INVALID_JSON.sub(rb"\1" + INVALID, body, count=1)
        case "invalid_utf8":
            return body.replace(b"<Content><![CDATA[", b"<Content><![CDATA[" + INVALID, 1)
        case "entity_expansion" | "external_entity":
            entities = ENTITIES if kind == "entity_expansion" else EXTERNAL
            return entities + body.replace(b"<Content><![CDATA[", b"<Content>&e;<![CDATA[", 1)
        case _:
            return body
