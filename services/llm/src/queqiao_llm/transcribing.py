"""The handler of voice: what was said becomes text, or it is said why it does not."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Protocol

import msgspec
from msgspec import structs
from queqiao_common import telemetry
from queqiao_common.events import UNREADABLE, Event, InboundMessage, Media, MediaFetched, MediaReady
from queqiao_common.objects import Objects
from queqiao_common.settings import Media as Rules
from queqiao_common.settings import Model
from queqiao_common.worker import Buried, Received

from queqiao_llm import metrics
from queqiao_llm.audio import Converter, Unconvertible
from queqiao_llm.completion import ModelFailed
from queqiao_llm.routing import REPEATABLE

log = logging.getLogger(__name__)

PAUSE, LONGEST_PAUSE = 0.5, 5.0
"""Seconds before a failed attempt is repeated, where the model does not wish for more."""


class Ears(Protocol):
    """A model that turns voice into text."""

    model: Model

    async def transcribe(self, sound: bytes, form: str) -> str:
        """Return what is said in a sound of this format.

        Raises:
            ModelFailed: with the reason.
        """
        ...


class Transcribing:
    """Turns the voice of messages into text. Whatever goes wrong, the message goes on."""

    def __init__(
        self, ears: Ears | None, objects: Objects, converter: Converter, rules: Rules
    ) -> None:
        self._ears = ears
        self._objects = objects
        self._converter = converter
        self._rules = rules

    async def hear(self, received: Received[MediaFetched]) -> AsyncIterator[Event]:
        """Say what each voice of a message says, and pass the message on."""
        event = received.event
        media = [await self._heard(one) for one in event.message.media]
        yield ready(event, structs.replace(event.message, media=tuple(media)))

    async def bury(self, buried: Buried) -> AsyncIterator[Event]:
        """Pass on a message whose voice is given up, if it can be read: somebody waits for it."""
        try:
            event = msgspec.json.decode(buried.body, type=MediaFetched)
        except UNREADABLE:
            return
        media = [_troubled(one, "failed") if waits(one) else one for one in event.message.media]
        yield ready(event, structs.replace(event.message, media=tuple(media)))

    async def _heard(self, media: Media) -> Media:
        if not waits(media):
            return media
        text, trouble = await self._text(media)
        metrics.SPEECH.labels("heard", trouble or "ok").inc()
        return structs.replace(media, text=text, trouble=trouble)

    async def _text(self, media: Media) -> tuple[str, str]:
        """Return what is said, or why that cannot be told (see `Media.trouble`)."""
        if self._ears is None:
            return "", "no_speech"
        sound = await self._objects.get(media.key) if media.key else None
        if sound is None:
            return "", "gone"
        form = self._rules.transcribe_format
        try:
            converted = await self._converter.convert(sound, form)
            text = await self._transcribed(self._ears, converted, form)
        except (Unconvertible, ModelFailed) as error:
            log.warning("voice.failed", extra={"error": type(error).__name__, "detail": str(error)})
            return "", "failed"
        text = " ".join(text.split())
        return (text, "") if any(map(str.isalnum, text)) else ("", "unclear")

    async def _transcribed(self, ears: Ears, sound: bytes, form: str) -> str:
        """Ask the model, and again where that may help, as often as its settings allow."""
        model = ears.model
        attributes = {
            "gen_ai.operation.name": "transcribe",
            "gen_ai.request.model": model.model,
            "queqiao.model": model.id,
        }
        failures = 0
        with telemetry.client_span(f"transcribe {model.model}", **attributes):
            while True:
                try:
                    return await ears.transcribe(sound, form)
                except ModelFailed as failure:
                    failures += 1
                    if failures > model.retries or failure.reason not in REPEATABLE:
                        raise
                    pause = min(failure.after or PAUSE, LONGEST_PAUSE)
                await asyncio.sleep(pause)


def waits(media: Media) -> bool:
    """Tell whether a medium is voice that is still to become text."""
    return media.kind == "voice" and not media.text and not media.trouble


def ready(event: MediaFetched, message: InboundMessage) -> MediaReady:
    """Return a message whose media are as useful as they can be made."""
    return MediaReady(
        id=f"ready:{message.id}:{event.sequence}",
        account=event.account,
        conv=event.conv,
        sequence=event.sequence,
        message=message,
    )


def _troubled(media: Media, trouble: str) -> Media:
    return structs.replace(media, trouble=trouble)
