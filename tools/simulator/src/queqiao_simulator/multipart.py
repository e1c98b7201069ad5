"""`multipart/form-data` as upload clients send it: the parts, byte for byte. Pure.

Source: RFC 7578, RFC 2046 5.1.1.
"""

import re

from msgspec import Struct

_BOUNDARY = re.compile(r'boundary="?([^";,]{1,70})"?', re.IGNORECASE)
_NAME = re.compile(rb'[;\s]name="([^"]*)"', re.IGNORECASE)
_FILENAME = re.compile(rb'[;\s]filename="([^"]*)"', re.IGNORECASE)
_TYPE = re.compile(rb"^content-type:\s*([^\r\n]+)", re.IGNORECASE | re.MULTILINE)


class Part(Struct, frozen=True):
    """One field of a form; `filename` and `mime` are empty where the client told none."""

    name: str
    body: bytes
    filename: str = ""
    mime: str = ""


def parse(content_type: str, body: bytes) -> list[Part]:
    """Read a form.

    Raises:
        ValueError: it is not `multipart/form-data`, or its parts are not delimited.
    """
    found = _BOUNDARY.search(content_type)
    if not content_type.lower().startswith("multipart/form-data") or found is None:
        raise ValueError("not a multipart form with a boundary")
    # Every delimiter but the first follows the line break that belongs to it.
    chunks = (b"\r\n" + body).split(b"\r\n--" + found[1].encode())
    if len(chunks) < 2 or not chunks[-1].startswith(b"--"):
        raise ValueError("the form does not end with its boundary")
    return [_part(chunk) for chunk in chunks[1:-1]]


def _part(chunk: bytes) -> Part:
    head, separator, body = chunk.partition(b"\r\n\r\n")
    name = _NAME.search(head)
    if not separator or name is None:
        raise ValueError("a part of the form has no name")
    return Part(
        name=name[1].decode(errors="replace"),
        body=body,
        filename=_first(_FILENAME, head),
        mime=_first(_TYPE, head).strip(),
    )


def _first(pattern: re.Pattern[bytes], head: bytes) -> str:
    found = pattern.search(head)
    return found[1].decode(errors="replace") if found else ""
