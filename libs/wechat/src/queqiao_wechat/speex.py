"""WeChat's voice of 16 kHz (`MediaId16K`): one Speex frame after the other, with nothing around.

No program reads that: it lacks the head that says what it is. But a wideband frame states in its
first bits how each of its two bands is coded, and so how long it is. A sound whose frames all do,
to its last byte, is Speex, and is put into a container that programs know. Pure.

Sources: the Speex manual, chapters 6, 9 and 10; RFC 3533 for the container. That there is no head
is known from the decoder that WeChat publishes, which reads 60 bytes a frame; its servers call the
same `audio/x-speex-with-header-byte`, so frames behind a byte that says their length are read too.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence

LOW_BITS = (5, 43, 119, 160, 220, 300, 364, 492, 79)
HIGH_BITS = (4, 36, 112, 192, 352)
"""Bits of each band by its mode, the bits included that say which band and mode it is."""
FEWEST, MOST = 5, 5_000
"""Frames of 20 ms each: fewer prove nothing, and WeChat records a minute at most."""

RATE, FRAME_SAMPLES = 16_000, 320
WIDEBAND, BITSTREAM_VERSION = 1, 4
SERIAL = 1
PAGE_FRAMES = 255
"""Packets that a page of Ogg has places for, where each is shorter than 255 bytes."""
CONTINUES, BEGINS, ENDS = 0, 2, 4

_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def frames(body: bytes) -> tuple[bytes, ...]:
    """Return the frames of raw wideband Speex; none where a body is anything else."""
    for head in (0, 1):
        found = tuple(_walk(body, head))
        is_whole = sum(head + len(frame) for frame in found) == len(body)
        if is_whole and FEWEST <= len(found) <= MOST:
            return found
    return ()


def _walk(body: bytes, head: int) -> Iterator[bytes]:
    """Yield each frame while they are valid, the one after the last allowed included.

    Before each are `head` bytes, which say its length.
    """
    at = 0
    for _ in range(MOST + 1):
        begin = at + head
        size = _size(body, begin)
        at = begin + size
        if not size or at > len(body) or (head and body[begin - 1] != size):
            return
        yield body[begin:at]


def _size(body: bytes, at: int) -> int:
    """Return how many bytes the wideband frame has that begins here; 0 where none does."""
    mode = int.from_bytes(body[at : at + 1], "big") >> 3
    if at >= len(body) or mode >= len(LOW_BITS):  # in a lower band the first bit is 0
        return 0
    low = LOW_BITS[mode]
    behind = at + low // 8
    pair = int.from_bytes(body[behind : behind + 2].ljust(2, b"\0"), "big")
    is_high, mode = divmod(pair >> (12 - low % 8) & 15, 8)
    return -(-(low + HIGH_BITS[mode]) // 8) if is_high and mode < len(HIGH_BITS) else 0


def in_ogg(found: Sequence[bytes]) -> bytes:
    """Return an Ogg file that holds these frames, each of less than 255 bytes."""
    pages = [_page(0, BEGINS, 0, [_head()]), _page(1, CONTINUES, 0, [_comment()])]
    for start in range(0, len(found), PAGE_FRAMES):
        packets = found[start : start + PAGE_FRAMES]
        end = start + len(packets)
        kind = ENDS if end == len(found) else CONTINUES
        pages.append(_page(len(pages), kind, end * FRAME_SAMPLES, packets))
    return b"".join(pages)


def _head() -> bytes:
    """Say that it is one channel of 16 kHz, one frame a packet, of no stated rate in bits."""
    name, version = b"Speex   ", b"1.2"
    numbers = (1, 80, RATE, WIDEBAND, BITSTREAM_VERSION, 1, -1, FRAME_SAMPLES, 0, 1, 0, 0, 0)
    return struct.pack("<8s20s13i", name, version, *numbers)


def _comment() -> bytes:
    name = b"queqiao"
    return struct.pack("<I", len(name)) + name + struct.pack("<I", 0)


def _page(number: int, kind: int, samples: int, packets: Sequence[bytes]) -> bytes:
    """Return one page; `samples` is how many have ended with it."""
    sizes = bytes(map(len, packets))
    head = struct.pack("<4sBBqIIIB", b"OggS", 0, kind, samples, SERIAL, number, 0, len(sizes))
    page = head + sizes + b"".join(packets)
    return page[:22] + struct.pack("<I", checksum(page)) + page[26:]


def checksum(page: bytes) -> int:
    """Return Ogg's CRC-32: zlib's polynomial, from the other end and without its inversions."""
    mirrored = ~zlib.crc32(page.translate(_MIRRORED), 0xFFFFFFFF) & 0xFFFFFFFF
    return int.from_bytes(mirrored.to_bytes(4, "little").translate(_MIRRORED), "big")
