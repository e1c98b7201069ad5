"""`docs/asyncapi.yaml`: the same for machines, as an AsyncAPI 3.0 document."""

import re
from collections.abc import Iterable
from typing import Any

import msgspec
import yaml
from queqiao_common.events import EVENT_TYPES, Event
from queqiao_common.topology import CONSUMERS, SUBJECTS, Subject

VERSION = "0.1.0"
HEAD = "# Generated from events.py and topology.py by `make docs`: change those.\n"


def page() -> str:
    """Write the document."""
    return HEAD + yaml.safe_dump(document(), sort_keys=False, allow_unicode=True, width=100)


def document() -> dict[str, Any]:
    """Build the document."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Queqiao",
            "version": VERSION,
            "description": "The events that link the five services over NATS JetStream.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "broker": {"host": "127.0.0.1:4222", "protocol": "nats", "description": "JetStream"}
        },
        "channels": {channel(one): _channel(one) for one in SUBJECTS},
        "operations": dict(_operations()),
        "components": {
            "messages": {one.event.__name__: _message(one) for one in SUBJECTS},
            "schemas": _schemas(),
        },
    }


def channel(one: Subject[Event]) -> str:
    """Return the key of a subject's channel."""
    return one.template.replace(".", "_")


def _channel(one: Subject[Event]) -> dict[str, Any]:
    name = one.event.__name__
    variables = re.findall(r"{(\w+)}", one.pattern)
    return {
        "address": one.pattern,
        "description": one.means,
        "messages": {name: {"$ref": f"#/components/messages/{name}"}},
        "parameters": {variable: {"description": _VARIABLES[variable]} for variable in variables},
    }


_VARIABLES = {
    "account": "the id of an `[[accounts]]` entry",
    "conv": "`c_` and a keyed hash of account and openid",
    "route": "a key of `[routes]`",
    "subject": "the subject of the event that is given up",
}


def _operations() -> Iterable[tuple[str, dict[str, Any]]]:
    for one in SUBJECTS:
        reference = {"$ref": f"#/channels/{channel(one)}"}
        yield (
            f"send_{channel(one)}",
            {"action": "send", "channel": reference, "summary": f"by {one.published_by}"},
        )
        for consumer in CONSUMERS:
            if consumer.reads is one:
                yield (
                    consumer.name,
                    {
                        "action": "receive",
                        "channel": reference,
                        "summary": f"by {consumer.service}",
                    },
                )


def _message(one: Subject[Event]) -> dict[str, Any]:
    name = one.event.__name__
    return {
        "name": name,
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "properties": {
                "Nats-Msg-Id": {"type": "string", "description": "the id: a repeat is dropped"},
                "traceparent": {"type": "string", "description": "W3C trace context"},
            },
        },
        "payload": {"$ref": f"#/components/schemas/{name}"},
    }


def _schemas() -> dict[str, Any]:
    _, components = msgspec.json.schema_components(
        EVENT_TYPES, ref_template="#/components/schemas/{name}"
    )
    return {name: components[name] for name in sorted(components)}
