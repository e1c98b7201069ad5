"""OpenAI's Realtime protocol, for text alone: one conversation, one response, for each WebSocket.

Source: OpenAI's "Realtime" API reference (the general availability form; the beta form is retired).
"""

from collections.abc import AsyncGenerator, Iterable
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec
from queqiao_common.settings import Model

from queqiao_llm.completion import Chunk, Message, Question
from queqiao_llm.providers.realtime_answer import AnswerReader
from queqiao_llm.providers.websocket import talking

Json = dict[str, Any]

_encode = msgspec.json.Encoder().encode


class Realtime:
    """One model behind this protocol. It has no temperature: the protocol has none any more."""

    def __init__(self, model: Model) -> None:
        parts = urlsplit(model.base_url.rstrip("/") + "/realtime")
        self._url = parts._replace(query=urlencode({"model": model.model})).geturl()
        key = model.api_key.reveal()
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._max_tokens = model.max_tokens

    async def complete(self, question: Question) -> AsyncGenerator[Chunk, None]:
        """Ask the model and yield its answer as it comes; see `Provider`."""
        reader = AnswerReader()
        done = False
        async with talking(self._url, self._headers) as talk:
            for event in events_of(question.messages, self._max_tokens):
                await talk.say(_encode(event))
            while not done:
                if chunk := reader.feed(await talk.hear()):
                    done = chunk.done
                    yield chunk


def events_of(prompt: tuple[Message, ...], max_tokens: int | None) -> Iterable[Json]:
    """Return the events that put a prompt before the model, in the order they must be sent.

    They need not wait for the server's own: it answers them one after the other.
    """
    told = "\n\n".join(one.content for one in prompt if one.role == "system")
    session: Json = {"type": "realtime", "output_modalities": ["text"]}
    if told:
        session["instructions"] = told
    response: Json = {"output_modalities": ["text"]}
    if max_tokens is not None:
        response["max_output_tokens"] = max_tokens
    yield {"type": "session.update", "session": session}
    for one in prompt:
        if one.role != "system":
            yield {"type": "conversation.item.create", "item": _item(one)}
    yield {"type": "response.create", "response": response}


def _item(one: Message) -> Json:
    kind = "output_text" if one.role == "assistant" else "input_text"
    content = [{"type": kind, "text": one.content}]
    return {"type": "message", "role": one.role, "content": content}
