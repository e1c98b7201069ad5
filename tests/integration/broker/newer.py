"""A service as a newer release might be: `python newer.py SERVICE [raised]`.

Its events and its documents say more than this release knows; with `raised`, context's documents
are of a version that older replicas may not touch. Run as a script, in the place of a service, by
`test_versions.py`.
"""

import functools
import importlib
import sys
from typing import Any

import msgspec
from queqiao_common import bus, kv, runtime
from queqiao_context import __main__ as context_main
from queqiao_context import conversation, document

MORE = {"said_by_a_newer_release": {"list": [1, 2], "text": "新"}}


def encode(value: msgspec.Struct) -> bytes:
    return msgspec.json.encode(msgspec.to_builtins(value) | MORE)


class NewerDocuments(kv.JetStreamDocuments[Any]):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._encode = encode


def raise_version() -> None:
    """Have conversations written as of the next version."""
    newer = document.VERSION + 1
    steps = {**document.STEPS, document.VERSION: lambda table: table}
    vars(conversation)["VERSION"] = newer
    vars(context_main)["read"] = functools.partial(document.read, version=newer, steps=steps)


if __name__ == "__main__":
    name = sys.argv[1]
    if "raised" in sys.argv:
        raise_version()
    vars(bus)["encode"] = encode
    vars(runtime)["JetStreamDocuments"] = NewerDocuments
    main = importlib.import_module(f"queqiao_{name}.__main__").main
    runtime.run(name, main)
