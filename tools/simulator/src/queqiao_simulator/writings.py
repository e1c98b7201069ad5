"""What a user sends: as asked for, and as the platform has it ready to push."""

from typing import Any

from msgspec import Struct

VOICE_SECONDS = 2.0


class Writing(Struct, frozen=True, kw_only=True):
    """What a user sends. `file` replaces the picture or sound that would be made up."""

    kind: str = "text"
    text: str = ""
    fields: dict[str, Any] = {}
    msgid: str | None = None
    file: bytes | None = None
    seconds: float = VOICE_SECONDS
    chatid: str = ""


class Composed(Struct, frozen=True, kw_only=True):
    """A message of the kinds that speak JSON: `body` is the object named `kind`.

    `text` and `content` are what the chat shows of it; `quote` is what an AI bot's user quotes.
    """

    kind: str
    body: dict[str, Any]
    text: str
    content: dict[str, Any] = {}
    msgid: str | None = None
    chatid: str = ""
    quote: dict[str, Any] | None = None
