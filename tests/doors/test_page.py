"""`docs/wechat.md`: what becomes of every message and event that WeChat documents, by account kind.

The table is what the doors of ingress, and what pulls customer service in egress, make of a sample
of each (protocol reference 3 and 10). `python -m tests.doors.test_page` writes the page.
"""

from pathlib import Path

import pytest
from queqiao_common.events import InboundMessage
from queqiao_common.settings import Handover
from queqiao_egress import customers
from queqiao_ingress.callback import Callback, Hold, Ignore, Poll, Publish, Say
from queqiao_ingress.doors import open_doors
from queqiao_wechat import kf_client

from libs.wechat.tests import samples
from services.ingress.tests import wechat, wecom

PAGE = Path(__file__).parents[2] / "docs" / "wechat.md"
ASKED, SEEN, HEARD = "asked", "seen", "heard"
DECLINED, ACKNOWLEDGED, NOTHING = "declined", "acknowledged", "—"
RULE, GREETED, ERASED = "rule", "greeted", "erased"
PERSON, BACK, POLLED = "person", "back", "told so far"

MEANINGS = {
    ASKED: "a question for the model, or for a rule of yours (`[[rules]]`); a place, a link or a "
    "shared page becomes a text that a model understands",
    SEEN: "fetched, kept for three days, and shown to a model that can see; with the words that "
    "follow it is one question",
    HEARD: "fetched and turned into text by `[media] transcribe`, then as a text",
    DECLINED: "answered by the text for what is not served (`context.unsupported`)",
    GREETED: "answered by your rule, or else by the account's `welcome`",
    RULE: "answered by your rule, if there is one",
    ERASED: "what is kept of the user is erased",
    PERSON: "a person has taken over: the model is silent",
    BACK: "the person is done: the model answers again",
    POLLED: "answered with as much of the reply as is written",
    ACKNOWLEDGED: "acknowledged and counted, and nothing else",
    NOTHING: "this kind of account has no such thing",
}
EVENTS = {
    "subscribe": GREETED,
    "unsubscribe": ERASED,
    "scan": RULE,
    "click": RULE,
    "user_enter_tempsession": GREETED,
    "enter_session": GREETED,
    "kf_create_session": PERSON,
    "kf_switch_session": PERSON,
    "kf_close_session": BACK,
    "session_status_change": BACK,
    "user_info_modified": ERASED,
    "user_authorization_revoke": ERASED,
}
"""What the conversation does about the events that reach it."""

UNKNOWN = "a type that nobody knows yet"
MESSAGES = {**samples.MESSAGES, UNKNOWN: "<Hologram>1</Hologram>"}
TYPES = {**samples.TYPES, UNKNOWN: "hologram"}
PUSHED_EVENTS = samples.EVENTS
KINDS = ("subscription", "service", "miniprogram", "wecom", "wecom_kf", "wecom_bot")
MINI_PROGRAM = {"text", "image", "miniprogrampage", UNKNOWN}
MINI_PROGRAM_EVENTS = {
    "user_enter_tempsession", "wxa_media_check", "user_info_modified", "user_authorization_revoke",
    "subscribe_msg_popup_event", "subscribe_msg_change_event", "subscribe_msg_sent_event",
    "kf_create_session", "kf_close_session", "debug_demo",
}  # fmt: skip
WECOM_EVENTS = {"subscribe", "unsubscribe", "enter_agent", "CLICK", "VIEW", "LOCATION"}
NOT_WECOM = {samples.MENU_TAP, "miniprogrampage"}
NOT_OFFICIAL_EVENTS = {"user_enter_tempsession", "wxa_media_check", "enter_agent"}
PULLED = {
    "text": {"content": "你好"},
    samples.MENU_TAP: {"content": "满意", "menu_id": "101"},
    "image": {"media_id": "M1"},
    "voice": {"media_id": "M1"},
    "video": {"media_id": "M1"},
    "location": {"latitude": 30.27, "longitude": 120.15, "name": "西湖"},
    "link": {"title": "标题", "url": "https://a.example/x"},
    UNKNOWN: {"hologram": 1},
}
PULLED_EVENTS = ("enter_session", "session_status_change", "msg_send_fail")
BOT: dict[str, dict[str, object]] = {
    "text": {"text": {"content": "你好"}},
    "image": {"image": {"url": "https://a.example/1"}},
    "voice": {"voice": {"content": "喂"}},
    "mixed": {"mixed": {"msg_item": [{"msgtype": "text", "text": {"content": "这是什么"}}]}},
    "file": {"file": {"url": "https://a.example/1"}},
    "stream": {"stream": {"id": "m_" + "0" * 32}},
}
BOT_EVENTS = ("enter_chat", "template_card_event", "feedback_event")


def of_event(event: InboundMessage) -> str:
    """Say in a word what becomes of an event of ours."""
    if event.kind == "platform_event":
        return EVENTS[event.platform_event]
    if event.kind == "text":
        return ASKED
    kinds = {one.kind for one in event.media}
    return HEARD if "voice" in kinds else SEEN if "image" in kinds else DECLINED


def of_callback(callback: Callback) -> str:
    """Say in a word what becomes of a callback."""
    match callback.purpose:
        case Ignore():
            return ACKNOWLEDGED
        case Say():
            return GREETED
        case Poll():
            return POLLED
        case _:
            assert callback.message is not None
            return of_event(callback.message)


def pushed(kind: str, name: str) -> str:
    """Push a sample to an account that is spoken to in XML."""
    is_event = name in PUSHED_EVENTS
    lines = f"<Event>{name}</Event>{PUSHED_EVENTS[name]}" if is_event else MESSAGES[name]
    msg_type = "event" if is_event else TYPES.get(name, name)
    body = wechat.xml(lines, kind=msg_type, msgid="" if is_event else "24100000000000001")
    if kind == "wecom":
        agent = f"<AgentID>{wecom.AGENT}</AgentID></xml>".encode()
        sent = wecom.sealed(body.replace(b"</xml>", agent))
        return of_callback(wecom.admit(wecom.door("wecom"), sent))
    door = open_doors(wechat.config(wechat.account(kind=kind)))["main"]
    return of_callback(door.admit(wechat.signed(), body, received_ms=wecom.NOW_MS))


def pulled(name: str) -> str:
    """Have a sample pulled from customer service."""
    if name in PULLED_EVENTS:
        inner = {"event_type": name, "open_kfid": "wk1", "external_userid": "wm1"}
        line = {"msgid": "k1", "origin": 4, "msgtype": "event", "event": inner}
    else:
        msgtype = TYPES.get(name, name)
        user = {"open_kfid": "wk1", "external_userid": "wm1", "send_time": 1}
        line = {"msgid": "k1", "origin": 3, "msgtype": msgtype, msgtype: PULLED[name], **user}
    [item] = kf_client.page_of({"msg_list": [line]}).items
    event = customers.inbound(item, account="main", pepper="p", now_ms=wecom.NOW_MS)
    return ACKNOWLEDGED if event is None else of_event(event)


def asked_of_bot(name: str) -> str:
    """Push a sample to an AI bot."""
    more = {"event": {"eventtype": name}} if name in BOT_EVENTS else BOT[name]
    push = wecom.message(msgtype="event" if name in BOT_EVENTS else name, **more)
    sent = wecom.to_bot(push)
    return of_callback(wecom.admit(wecom.door("wecom_bot"), sent))


def outcome(kind: str, name: str) -> str:
    """Say in a word what becomes of a sample at an account of a kind."""
    match kind:
        case "wecom_kf":
            return pulled(name) if name in PULLED or name in PULLED_EVENTS else NOTHING
        case "wecom_bot":
            return asked_of_bot(name) if name in BOT or name in BOT_EVENTS else NOTHING
        case "miniprogram":
            known = name in MINI_PROGRAM | MINI_PROGRAM_EVENTS
        case "wecom":
            known = (name in MESSAGES and name not in NOT_WECOM) or name in WECOM_EVENTS
        case _:
            known = name in MESSAGES or (name in PUSHED_EVENTS and name not in NOT_OFFICIAL_EVENTS)
            known = known and name != "miniprogrampage"
    return pushed(kind, name) if known else NOTHING


HOLDING: tuple[tuple[str, dict[str, str]], ...] = (
    ("subscription", {"kind": "subscription"}),
    ("service", {"kind": "service"}),
    ("service, `delivery` = `active`", {"kind": "service", "delivery": "active"}),
    ("miniprogram", {"kind": "miniprogram"}),
    ("wecom", {"kind": "wecom"}),
    ("wecom, `delivery` = `active`", {"kind": "wecom", "delivery": "active"}),
)
QUESTIONS: tuple[tuple[str, str, Handover], ...] = (
    ("a question", "你好", Handover()),
    ("a question, and the model may hand over", "你好", Handover(by_model=True)),
    ("a word that asks for a person", "转人工", Handover()),
    ("that word, `[handover]` off", "转人工", Handover(enabled=False)),
)


def held(fields: dict[str, str], text: str, handover: Handover) -> str:
    """Say for what the callback of a text is held open, if it is."""
    own = wechat if fields["kind"] != "wecom" else wecom
    config = wechat.replaced(wechat.config(own.account(**fields)), handover=handover)
    door = open_doors(config)[config.accounts[0].id]
    body = wechat.text(text)
    sent = (wechat.signed(), body) if own is wechat else wecom.sealed(body)
    match door.admit(*sent, received_ms=wecom.NOW_MS).purpose:
        case Hold(mode="transfer"):
            return "the hand-over"
        case Hold():
            return "the reply"
        case Publish(may_hand_over=True):
            return "while with a person"
        case _:
            return NOTHING


def holding() -> list[str]:
    """Write which callbacks are held open, and for what."""
    head = ["", *(name for name, _, _ in QUESTIONS)]
    body = [
        [f"`{kind}`{comma}{rest}", *(held(fields, text, how) for _, text, how in QUESTIONS)]
        for name, fields in HOLDING
        for kind, comma, rest in [name.partition(",")]
    ]
    return ["| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *body]]


def rows(names: tuple[str, ...]) -> list[str]:
    """Write the rows of a table."""
    head = ["", *(f"`{kind}`" for kind in KINDS)]
    body = [
        [f"`{name}`" if " " not in name else name] + [outcome(k, name) for k in KINDS]
        for name in names
    ]
    lines = [head, ["---"] * len(head), *body]
    return ["| " + " | ".join(line) + " |" for line in lines]


def page() -> str:
    """Write the whole page."""
    messages = (*MESSAGES, *(name for name in BOT if name not in MESSAGES))
    events = (*PUSHED_EVENTS, *PULLED_EVENTS, *BOT_EVENTS)
    return "\n".join(
        [
            "# What becomes of what WeChat sends",
            "",
            "Generated from `tests/doors/test_page.py`, which gives a sample of each to the code",
            "that reads it: `python -m tests.doors.test_page`. A column is an `[[accounts]] kind`.",
            "",
            "## Messages",
            "",
            *rows(messages),
            "",
            "## Events",
            "",
            *rows(events),
            "",
            "## What is held open",
            "",
            "A callback is answered `success` at once, or held for `passive_window` at most. Where",
            "replies go by API, it is held for nothing but the hand-over to a person, which has no",
            "other way (ADR 0014). With `by_model` or `failures` anything may be so answered,",
            "and every message costs an open connection for as long as its answer takes.",
            "",
            *holding(),
            "",
            "Customer Service (`wecom_kf`) hands over by API, and an AI bot has no people.",
            "",
            "## In a word",
            "",
            "| | |",
            "| --- | --- |",
            *(f"| {word} | {meaning} |" for word, meaning in MEANINGS.items()),
            "",
        ]
    )


def test_the_page_says_what_the_code_does():
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.doors.test_page"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_account_answers_a_text_and_declines_what_it_does_not_know(kind):
    assert outcome(kind, "text") == ASKED
    assert outcome(kind, UNKNOWN) in {DECLINED, NOTHING}


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
