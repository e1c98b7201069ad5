"""Writing a question in the OpenAI chat protocol. Pure."""

from collections.abc import Mapping
from typing import Any

import msgspec

from queqiao_llm.completion import Call, Message, Question, Tool

Json = dict[str, Any]

_encode = msgspec.json.Encoder().encode


def body_of(options: Mapping[str, Any], question: Question) -> bytes:
    """Return the body of a request: the model's own options, the messages, the tools it may use."""
    body = {**options, "messages": [_message(one) for one in question.messages]}
    if question.tools:
        body["tools"] = [_tool(one) for one in question.tools]
        if not question.may_call:
            body["tool_choice"] = "none"
    return _encode(body)


def _message(message: Message) -> Json:
    written: Json = {"role": message.role, "content": _content(message)}
    if message.calls:
        written["tool_calls"] = [_call(one) for one in message.calls]
    if message.answers:
        written["tool_call_id"] = message.answers
    return written


def _content(message: Message) -> str | list[Json]:
    """Return a text, or the parts of one with pictures: only those who can read parts get them."""
    if not message.pictures:
        return message.content
    pictures: list[Json] = [
        {"type": "image_url", "image_url": {"url": url}} for url in message.pictures
    ]
    text: list[Json] = [{"type": "text", "text": message.content}] if message.content else []
    return text + pictures


def _call(call: Call) -> Json:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def _tool(tool: Tool) -> Json:
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
    }
    return {"type": "function", "function": function}
