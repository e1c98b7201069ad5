"""Answers read aloud: a step behind every piece, which never holds its text up for long."""

import asyncio
import logging
import re
from collections.abc import Callable, Mapping
from typing import Protocol

from msgspec import structs
from queqiao_common import telemetry
from queqiao_common.errors import TransientError
from queqiao_common.events import CompletionRequest, Media, ReplySegment
from queqiao_common.objects import Objects
from queqiao_common.settings import Config, Model

from queqiao_llm import metrics
from queqiao_llm.audio import MIME, Converter, Unconvertible, seconds_of
from queqiao_llm.completion import ModelFailed

log = logging.getLogger(__name__)

FORMATS: Mapping[str, str] = {
    "subscription": "mp3",
    "service": "mp3",
    "wecom": "amr",
    "wecom_kf": "amr",
}
"""What voice must be for the kinds of accounts that can play it.

Source: protocol reference 7 (voice material: AMR and MP3; WeCom's: AMR alone).
"""
MAX_BYTES = 2 * 1024 * 1024
MAX_SECONDS = 59.0
"""What WeChat takes as voice, and a little less."""
RESERVE = 1.0
"""Seconds before the turn's deadline at which the text goes without its voice."""

UNSPEAKABLE = re.compile(r"```|~~~|^\s*\|.*\|\s*$|\$\$|\\\(|\\\[", re.MULTILINE)
"""Code, tables and formulas: nobody understands them read aloud."""
PICTURE = re.compile(r"!\[[^\]]*\]\([^)]*\)")
LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")
ADDRESS = re.compile(r"https?://\S+")
MARKS = re.compile(r"^[ \t]{0,3}(?:#{1,6}\s+|>\s?|[-*+]\s+)|[*_`]{1,3}", re.MULTILINE)


class Voice(Protocol):
    """A model that reads aloud."""

    model: Model

    async def speak(self, text: str, voice: str) -> bytes:
        """Return a text read aloud.

        Raises:
            ModelFailed: with the reason.
        """
        ...


class Speaking:
    """Reads pieces of answers aloud, where their persona has a voice; the text goes in any case."""

    def __init__(
        self,
        voice: Voice | None,
        objects: Objects,
        converter: Converter,
        config: Config,
        *,
        now_ms: Callable[[], int],
    ) -> None:
        self._voice = voice
        self._objects = objects
        self._converter = converter
        self._config = config
        self._now_ms = now_ms

    async def finish(self, request: CompletionRequest, segment: ReplySegment) -> ReplySegment:
        """Put the voice beside the text of a piece."""
        voice = self._config.persona(request.persona).voice
        account = self._config.account(request.account)
        form = FORMATS.get(account.kind, "") if account else ""
        text = spoken(segment.text, self._config.media.speak_chars)
        left = (request.deadline_ms - self._now_ms()) / 1000 - RESERVE
        is_wanted = bool(voice and form and text) and left > 0 and not _is_ours(segment)
        if self._voice is None or not is_wanted:
            return segment
        try:
            async with asyncio.timeout(left):
                media = await self._said(self._voice, segment, text, voice, form)
        except (ModelFailed, Unconvertible, TransientError, TimeoutError) as error:
            metrics.SPEECH.labels("spoken", "failed").inc()
            fields = {"turn_id": request.turn_id, "error": type(error).__name__}
            log.warning("speech.failed", extra=fields | {"detail": str(error)})
            return segment
        metrics.SPEECH.labels("spoken", "ok").inc()
        return structs.replace(segment, media=(*segment.media, media))

    async def _said(
        self, model: Voice, segment: ReplySegment, text: str, voice: str, form: str
    ) -> Media:
        attributes = {
            "gen_ai.operation.name": "speak",
            "gen_ai.request.model": model.model.model,
            "queqiao.model": model.model.id,
        }
        said = "\n".join(filter(None, (text, self._config.media.speak_label)))
        with telemetry.client_span(f"speak {model.model.model}", **attributes):
            sound = await model.speak(said, voice)
        sound = await self._converter.convert(sound, form)
        seconds = seconds_of(sound)
        if len(sound) > MAX_BYTES or not 0 < seconds <= MAX_SECONDS:
            raise Unconvertible(f"{seconds:.1f} s in {len(sound)} bytes are not for WeChat")
        key = f"{segment.account}/say/{segment.id}"
        await self._objects.put(key, sound)
        return Media(kind="voice", format=form, key=key, mime=MIME[form], text=segment.text)


def spoken(text: str, limit: int) -> str:
    """Return what is to be read aloud of a piece; nothing where it is too long or not for ears."""
    if UNSPEAKABLE.search(text):
        return ""
    text = ADDRESS.sub("", LINK.sub(r"\1", PICTURE.sub("", text)))
    text = MARKS.sub("", text).strip()
    return text if len(text) <= limit and any(map(str.isalnum, text)) else ""


def _is_ours(segment: ReplySegment) -> bool:
    """Tell whether no model wrote this piece, or it is more than a text."""
    return segment.failed or segment.notice or segment.menu is not None or bool(segment.cards)
