"""Every event ever released still decodes: that is what lets services be upgraded one at a time.

`python tests/golden/test_golden.py VERSION` adds the folder of a new release.
"""

import sys
from pathlib import Path

import msgspec
import pytest
from queqiao_common.events import (
    EVENT_TYPES,
    Card,
    DeadLetter,
    Event,
    Form,
    Media,
    MediaFetched,
    MediaReady,
    MediaWanted,
    Menu,
    MenuItem,
    PassiveOffer,
    PullWanted,
    ReplyGiven,
    Summarised,
    TurnTimeout,
    Usage,
    WindowMissed,
    encode,
)
from queqiao_common.testing import (
    ACCOUNT,
    CONV,
    TURN,
    delivered,
    delivery,
    inbound,
    request,
    screened,
    screened_segment,
    segment,
)

HERE = Path(__file__).parent
FILES = sorted(HERE.glob("*/*.json"))
TYPES = {kind.__name__: kind for kind in EVENT_TYPES}


PICTURE = Media(
    kind="image", media_id="M1", url="http://mmbiz.qpic.cn/x", key="main/x", mime="image/png"
)
VOICE = Media(kind="voice", media_id="M2", format="amr", key="main/y", text="喂")
MENU = Menu(head="您是不是想问：", items=(MenuItem("1", "几点开门"),), tail="回复数字即可")
CARD = Card(title="鹊桥", url="https://example.com/", picture_url="https://example.com/1.png")


def samples() -> list[Event]:
    """Build one of each event, with every field that a release may fill."""
    message = inbound(
        "你好，世界", trigger="menu", event_key="BTN", media=(PICTURE, VOICE), peer="wk1"
    )
    written = {"usage": Usage(input_tokens=5), "menu": MENU, "media": (VOICE,), "cards": (CARD,)}
    return [
        message,
        MediaWanted(
            id="media:wx:main:m_1", account=ACCOUNT, conv=CONV, sequence=7, message=message
        ),
        MediaFetched(
            id="fetched:wx:main:m_1", account=ACCOUNT, conv=CONV, sequence=7, message=message
        ),
        MediaReady(id="ready:wx:main:m_1", account=ACCOUNT, conv=CONV, sequence=7, message=message),
        PullWanted(id="pull:main:wk1:1", account=ACCOUNT, peer="wk1", token="T", received_ms=1),
        Summarised(
            id=f"summary:{ACCOUNT}.{CONV}.1",
            account=ACCOUNT,
            conv=CONV,
            upto=1,
            text="聊了天气",
            notes=("住在杭州",),
        ),
        screened(),
        request("你好", persona="assistant", window_ms=1, purpose="answer"),
        segment("你好！", number=1, attempt=101, final=True, model="main", **written),
        screened_segment("你好！", final=True, model="main", handover=True, notes=("爱喝茶",)),
        delivery(
            "你好！", ai=True, transfer=True, page="p", menu=MENU, media=(VOICE,), cards=(CARD,)
        ),
        delivered(parts=2, parked=1, errcode=45047, reasons=("quota",), msgids=("m_1",)),
        PassiveOffer(
            id="offer:m_1:1",
            account=ACCOUNT,
            conv=CONV,
            msgid="m_1",
            text="好",
            items=(TURN,),
            form=Form(kind="news", card=CARD),
        ),
        WindowMissed(id="missed:m_1", account=ACCOUNT, conv=CONV, openid="oUSER", msgid="m_1"),
        ReplyGiven(id="given:m_1", account=ACCOUNT, msgid="m_1", delivery=2),
        TurnTimeout(id=f"due:{TURN}", account=ACCOUNT, conv=CONV, turn_id=TURN),
        DeadLetter(
            id="dead:llm-requests:7",
            account=ACCOUNT,
            subject="llm.request.default",
            stream="LLM",
            sequence=7,
            consumer="llm-requests",
            reason="why",
            attempts=5,
            body=b"{}",
            headers={"traceparent": "00-0-0-01"},
        ),
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_an_event_of_an_older_release_decodes(path):
    event = msgspec.json.decode(path.read_bytes(), type=TYPES[path.stem])

    assert msgspec.json.decode(encode(event), type=TYPES[path.stem]) == event


def test_every_event_is_kept():
    kept = {path.stem for path in FILES}

    assert kept == set(TYPES), "run: python tests/golden/test_golden.py VERSION"


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: type(sample).__name__)
def test_a_decoder_ignores_what_it_does_not_know(sample):
    """A newer service may say more than an older one understands."""
    table = msgspec.json.decode(encode(sample)) | {"said_by_a_newer_release": [1, 2]}

    assert msgspec.json.decode(msgspec.json.encode(table), type=type(sample)) == sample


if __name__ == "__main__":
    folder = HERE / sys.argv[1]
    folder.mkdir(exist_ok=True)
    for one in samples():
        (folder / f"{type(one).__name__}.json").write_bytes(
            msgspec.json.format(encode(one), indent=2) + b"\n"
        )
