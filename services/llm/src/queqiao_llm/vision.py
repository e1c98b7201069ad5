"""Pictures before the models: a step that reads them, or says that nobody can see them."""

import base64
import logging
from collections.abc import Mapping

from msgspec import Struct, structs
from queqiao_common.events import CompletionRequest
from queqiao_common.objects import Objects
from queqiao_common.settings import Media, Model

from queqiao_llm.completion import Message
from queqiao_llm.preparing import Notice, Prepared

log = logging.getLogger(__name__)

BEGINNINGS = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF8", "image/gif"),
)
"""What vision models understand, beside WebP, by its first bytes."""
MAX_BYTES = 20 * 1024 * 1024
"""Of all pictures of one question: the newest come first."""
GONE = "（用户在这里发了一张图片，但它已经过期，看不到了。）"
UNREADABLE = "（用户在这里发了一张图片，但它的格式无法识别，看不到。）"
TOO_MANY = "（用户在这里还发了一张图片，但图片太多，没有给出。）"


class Seen(Struct, frozen=True):
    """What becomes of the pictures of one message: they are shown, or something is said."""

    urls: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    def shown(self, message: Message) -> Message:
        """Return the message with them."""
        content = "\n".join(filter(None, (message.content, *dict.fromkeys(self.remarks))))
        return structs.replace(message, content=content, pictures=self.urls)


class Vision:
    """Reads the pictures of a question from the object store, for the models that can see."""

    def __init__(
        self, objects: Objects, routes: Mapping[str, tuple[Model, ...]], rules: Media
    ) -> None:
        self._objects = objects
        self._routes = routes
        self._rules = rules

    async def prepare(self, request: CompletionRequest, prepared: Prepared) -> Prepared:
        """Show the pictures to models that can see them.

        Where none of the route can, a new picture gets a notice, and older ones are left out: they
        have had theirs.
        """
        if request.purpose != "answer" or not any(one.media for one in request.prompt):
            return prepared
        if not any(model.vision for model in self._routes.get(request.route, ())):
            is_new = bool(request.prompt[-1].media)
            notice = Notice(self._rules.no_vision) if is_new else None
            return structs.replace(prepared, notice=notice)
        asked = [one.media for one in request.prompt if one.role == "user"]
        seen = await self._seen(asked)
        question = prepared.question
        messages = shown(question.messages, seen)
        return structs.replace(
            prepared,
            question=structs.replace(question, messages=messages),
            needs_vision=any(one.urls for one in seen),
        )

    async def _seen(self, asked: list[tuple[str, ...]]) -> list[Seen]:
        """Read the pictures of each message; the newest first, as long as there is room."""
        room = MAX_BYTES
        found: list[Seen] = []
        for keys in reversed(asked):
            urls, remarks = [], []
            for key in keys:
                url, remark, size = await self._read(key, room)
                room -= size
                urls += [url] if url else []
                remarks += [remark] if remark else []
            found.append(Seen(tuple(urls), tuple(remarks)))
        return found[::-1]

    async def _read(self, key: str, room: int) -> tuple[str, str, int]:
        """Return a picture as an address, or what is said instead; and the room that it takes."""
        picture = await self._objects.get(key)
        if picture is None:
            return "", GONE, 0
        mime = mime_of(picture)
        if not mime:
            log.warning("picture.unreadable", extra={"bytes": len(picture)})
            return "", UNREADABLE, 0
        if len(picture) > room:
            return "", TOO_MANY, 0
        return data_url(picture, mime), "", len(picture)


def shown(messages: tuple[Message, ...], seen: list[Seen]) -> tuple[Message, ...]:
    """Put the pictures of each message of a user where they belong."""
    rest = iter(seen)
    return tuple(next(rest, Seen()).shown(one) if one.role == "user" else one for one in messages)


def mime_of(picture: bytes) -> str:
    """Tell what a picture is by its first bytes, whatever its sender says; empty: none of ours."""
    for beginning, mime in BEGINNINGS:
        if picture.startswith(beginning):
            return mime
    return "image/webp" if picture[:4] == b"RIFF" and picture[8:12] == b"WEBP" else ""


def data_url(content: bytes, mime: str) -> str:
    """Return bytes as an address that holds them."""
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"
