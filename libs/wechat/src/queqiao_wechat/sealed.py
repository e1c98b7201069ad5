"""The outside of an encrypted push, which is read before anybody has proved anything.

Only the ciphertext in it is signed, so only the ciphertext is looked for; and it is looked for
without a parser, since that would let unsigned requests cost twenty times what a signature does.
"""

import re
from typing import Final

MAX_CIPHERTEXTS: Final = 4
"""In compatible mode a user's own text stands beside the ciphertext, and may look like another."""

_CIPHERTEXT = re.compile(
    rb"<Encrypt>\s*(?:<!\[CDATA\[\s*)?([A-Za-z0-9+/=]+)\s*(?:\]\]>\s*)?</Encrypt>"
    rb'|"[Ee]ncrypt"\s*:\s*"((?:[A-Za-z0-9+/=]|\\/)+)"'
)


def ciphertexts(body: bytes) -> tuple[str, ...]:
    """Return what may be the ciphertext of an XML or JSON push: the one that is signed is.

    None for a body without one; never raises, and takes time in proportion to the body.

    Source: protocol reference 2.2 (an AI bot spells the key in lowercase).
    """
    found: list[str] = []
    for match in _CIPHERTEXT.finditer(body):
        found.append((match[1] or match[2].replace(b"\\/", b"/")).decode("ascii"))
        if len(found) == MAX_CIPHERTEXTS:
            break
    return tuple(found)
