"""Every event ever released still decodes: that is what lets services be upgraded one at a time.

`python tests/golden/test_golden.py VERSION` adds the folder of a new release.
"""

import sys
from pathlib import Path

import msgspec
import pytest
from queqiao_common.events import (
    EVENT_TYPES,
    DeadLetter,
    Event,
    PassiveOffer,
    TurnTimeout,
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


def samples() -> list[Event]:
    """Build one of each event, with every field that a release may fill."""
    return [
        inbound("你好，世界", trigger="menu", event_key="BTN"),
        screened(),
        request("你好"),
        segment("你好！", number=1, attempt=101, final=True, model="main"),
        screened_segment("你好！", final=True, model="main"),
        delivery("你好！", ai=True),
        delivered(parts=2, parked=1, errcode=45047, reasons=("quota",), msgids=("m_1",)),
        PassiveOffer(
            id="offer:m_1:1", account=ACCOUNT, conv=CONV, msgid="m_1", text="好", items=(TURN,)
        ),
        WindowMissed(id="missed:m_1", account=ACCOUNT, conv=CONV, openid="oUSER", msgid="m_1"),
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
