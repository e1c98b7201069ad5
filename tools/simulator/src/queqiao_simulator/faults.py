"""Faults that a test may ask for: of API calls, and of pushes. Deterministic given the seed."""

import random
from collections.abc import Iterable
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
]
API_KINDS: frozenset[str] = frozenset(get_args(ApiFaultKind))

HUGE_CHARACTERS = 400_000  # 3 bytes each: more than 1 MB
ENTITIES = (
    b'<!DOCTYPE xml [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    b'<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;">'
    b'<!ENTITY e "&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;">]>'
)


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
            if rule.kind in API_KINDS and rule.path in ("", path) and _strikes(rule, dice, account):
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


def decode(body: bytes) -> list[Fault]:
    """Read `PUT /control/faults`: a list of rules, or an object whose `faults` is one.

    Raises:
        msgspec.DecodeError: not JSON, or not such rules.
    """
    document = msgspec.json.decode(body)
    rules = document.get("faults", []) if isinstance(document, dict) else document
    return msgspec.convert(rules, list[Fault])


def spoil(kind: str, fields: Fields) -> Fields:
    """What a push fault makes of a message's elements."""
    match kind:
        case "unknown_type":
            return {**fields, "MsgType": "hologram"}
        case "empty_content":
            return {**fields, "Content": ""}
        case "huge_body":
            return {**fields, "Content": "大" * HUGE_CHARACTERS}
        case _:
            return fields


def corrupt(kind: str, body: bytes) -> bytes:
    """What a push fault makes of a message's bytes."""
    match kind:
        case "invalid_utf8":
            return body.replace(b"<Content><![CDATA[", b"<Content><![CDATA[\xff\xfe\xc3(", 1)
        case "entity_expansion":
            return ENTITIES + body.replace(b"<Content><![CDATA[", b"<Content>&e;<![CDATA[", 1)
        case _:
            return body
