"""A service as a newer release might be: `python newer.py SERVICE`.

Its events and its documents say more than this release knows. Run as a script, in the place of a
service, by `test_versions.py`.
"""

import importlib
import sys
from typing import Any

import msgspec
from queqiao_common import bus, kv, runtime

MORE = {"said_by_a_newer_release": {"list": [1, 2], "text": "新"}}


def encode(value: msgspec.Struct) -> bytes:
    return msgspec.json.encode(msgspec.to_builtins(value) | MORE)


class NewerDocuments(kv.JetStreamDocuments[Any]):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._encode = encode


if __name__ == "__main__":
    name = sys.argv[1]
    vars(bus)["encode"] = encode
    vars(runtime)["JetStreamDocuments"] = NewerDocuments
    main = importlib.import_module(f"queqiao_{name}.__main__").main
    runtime.run(name, main)
