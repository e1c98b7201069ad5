"""What users send: fetched into the object store, or the reason why not."""

import msgspec
import pytest
from queqiao_common.errors import TransientError
from queqiao_common.events import Media, MediaFetched, MediaReady, MediaWanted
from queqiao_common.settings import Media as Settings
from queqiao_common.testing import ACCOUNT, CONV, MemoryObjects, inbound, published, received
from queqiao_common.worker import Buried
from queqiao_egress.channels.port import Channel, Traits
from queqiao_egress.fetching import LAST, Fetching, key_of
from queqiao_wechat.client import ApiError, GoneError, TooLargeError, UnreachableError
from queqiao_wechat.errcodes import lookup

PICTURE = Media(kind="image", media_id="M1", url="https://mmbiz.qpic.cn/a")
VOICE = Media(kind="voice", media_id="M2", format="amr")
JPEG, AMR = b"\xff\xd8\xff\xe0", b"#!AMR\n\x3c"


class Side:
    """WeChat's side: a file or an error for each kind."""

    def __init__(self, **found):
        self.found = found
        self.limits = {}
        self.objects = MemoryObjects()
        channel = Channel(traits=Traits(call=""), fetch=self.fetch)
        self.fetching = Fetching({ACCOUNT: channel}, self.objects, Settings(max_voice=4096))

    async def fetch(self, media, limit_bytes):
        self.limits[media.kind] = limit_bytes
        found = self.found[media.kind]
        if isinstance(found, Exception):
            raise found
        return found

    async def handled(self, *media, attempt=1):
        [event] = await published(self.fetching.fetch(received(wanted(*media), attempt=attempt)))
        return event


def wanted(*media):
    message = inbound("", kind="unsupported", media=media)
    return MediaWanted(
        id=f"media:{message.id}", account=ACCOUNT, conv=CONV, sequence=7, message=message
    )


async def test_a_picture_is_ready_once_it_is_stored():
    side = Side(image=JPEG)

    event = await side.handled(PICTURE)

    [found] = event.message.media
    assert isinstance(event, MediaReady)
    assert (event.id, event.sequence) == (f"ready:{event.message.id}:7", 7)
    assert (found.key, found.mime) == (key_of(ACCOUNT, PICTURE), "image/jpeg")
    assert side.objects.stored == {found.key: JPEG}
    assert "M1" not in found.key


async def test_voice_is_to_become_text_first():
    side = Side(image=JPEG, voice=AMR)

    event = await side.handled(PICTURE, VOICE)

    assert isinstance(event, MediaFetched)
    assert [one.mime for one in event.message.media] == ["image/jpeg", "audio/amr"]
    assert side.limits["voice"] == 4096


@pytest.mark.parametrize(
    ("found", "trouble"),
    [
        (GoneError("404"), "gone"),
        (ApiError(40007, "expired", lookup(40007).action), "gone"),
        (TooLargeError("11 MB"), "too_large"),
        (ApiError(48001, "no right", lookup(48001).action), "failed"),
        (b"<html>", "failed"),
        (AMR, "failed"),  # a voice that calls itself a picture
    ],
)
async def test_what_cannot_be_had_says_why(found, trouble):
    """The user is told so, and in words that fit."""
    event = await Side(image=found).handled(PICTURE)

    [media] = event.message.media
    assert (media.trouble, media.key) == (trouble, "")
    assert isinstance(event, MediaReady)


async def test_a_passing_failure_is_tried_again_but_not_for_ever():
    side = Side(image=UnreachableError("down"))

    with pytest.raises(TransientError):
        await side.handled(PICTURE)
    event = await side.handled(PICTURE, attempt=LAST)

    assert event.message.media[0].trouble == "failed"


async def test_video_is_left_as_it_is():
    video = Media(kind="video", media_id="M3")

    event = await Side().handled(video)

    assert event.message.media == (video,)


async def test_a_message_whose_media_were_given_up_goes_on_without_them():
    side = Side()
    event = wanted(PICTURE)
    buried = Buried("media.wanted.main", msgspec.json.encode(event), 7, "again and again")

    [ready] = await published(side.fetching.give_up(buried))

    assert isinstance(ready, MediaReady)
    assert ready.message.media[0].trouble == "failed"
    assert await published(side.fetching.give_up(Buried("s", b"{", 7, "unreadable"))) == []
