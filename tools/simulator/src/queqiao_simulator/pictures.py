"""Real files for messages that nobody took or recorded: JPEG, AMR, Speex and MP4, from nothing.

They are small, valid and different for different seeds, so a bot can decode them and tests can
tell one from another. Pure.
"""

import hashlib
import struct
from collections.abc import Iterator

AMR_NB = b"#!AMR\n"
AMR_WB = b"#!AMR-WB\n"
FRAMES_PER_SECOND = 50
# Frame type 0: 4.75 kbit/s narrow band, 6.60 kbit/s wide band; header with the quality bit.
_FRAME_HEADER = b"\x04"
_NB_FRAME_BYTES = 12
_WB_FRAME_BYTES = 17
# What WeChat's 16 kHz voice consists of: wideband frames of quality 7, whose lower band (mode 6)
# has 364 bits and whose upper band (mode 2) has 112, and 4 bits that fill the last byte.
SPEEX_FRAME_BYTES = 60
_SPEEX_BANDS = ((0b00110, 5, 0), (0b1010, 4, 364), (0b0111, 4, 476))

BLOCK = 8
QUANTUM = 16
# Differences of DC coefficients: the Huffman table of Annex K.3 of the JPEG standard.
_DC_COUNTS = (0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0)
_END_OF_BLOCK = "0"  # our own table of AC codes has this one word, and one that is never used


def jpeg(seed: str, blocks: int = 6) -> bytes:
    """A square mosaic of `blocks` × `blocks` coloured tiles, 8 pixels each: a baseline JPEG."""
    tiles = _tiles(seed, blocks * blocks)
    side = blocks * BLOCK
    frame = struct.pack(">BHHB", 8, side, side, 3)
    frame += b"".join(bytes((component, 0x11, 0)) for component in (1, 2, 3))
    scan = b"\x03" + b"".join(bytes((component, 0x00)) for component in (1, 2, 3)) + b"\x00\x3f\x00"
    dc_table = bytes((0x00, *_DC_COUNTS, *range(12)))
    ac_table = bytes((0x10, 1, 1, *([0] * 14), 0x00, 0xF0))
    return b"".join(
        (
            b"\xff\xd8",
            _segment(0xE0, b"JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"),
            _segment(0xDB, bytes((0, *([QUANTUM] * 64)))),
            _segment(0xC0, frame),
            _segment(0xC4, dc_table),
            _segment(0xC4, ac_table),
            _segment(0xDA, scan),
            _entropy(tiles),
            b"\xff\xd9",
        )
    )


def amr(seed: str, seconds: float = 1.0, *, wide: bool = False) -> bytes:
    """A recording of this length: AMR at 8 kHz, or AMR-WB at 16 kHz."""
    size = _WB_FRAME_BYTES if wide else _NB_FRAME_BYTES
    frames = max(1, round(seconds * FRAMES_PER_SECOND))
    sound = _bytes(seed, frames * size)
    parts = (sound[at : at + size] for at in range(0, len(sound), size))
    return (AMR_WB if wide else AMR_NB) + b"".join(_FRAME_HEADER + part for part in parts)


def speex(seed: str, seconds: float = 1.0) -> bytes:
    """A recording of this length at 16 kHz, as WeChat keeps it: frames with nothing around them."""
    frames = max(1, round(seconds * FRAMES_PER_SECOND))
    sound = _bytes(seed, frames * SPEEX_FRAME_BYTES)
    return b"".join(
        _speex_frame(sound[at : at + SPEEX_FRAME_BYTES])
        for at in range(0, len(sound), SPEEX_FRAME_BYTES)
    )


def _speex_frame(noise: bytes) -> bytes:
    bits = f"{int.from_bytes(noise, 'big'):0{len(noise) * 8}b}"
    for value, count, at in _SPEEX_BANDS:
        bits = f"{bits[:at]}{value:0{count}b}{bits[at + count :]}"
    return int(bits, 2).to_bytes(len(noise), "big")


def amr_seconds(recording: bytes) -> float | None:
    """How long an AMR file plays, or None where it is none."""
    for magic, sizes in (
        (AMR_WB, (17, 23, 32, 36, 40, 46, 50, 58, 60, 5, 0, 0, 0, 0, 0, 0)),
        (AMR_NB, (12, 13, 15, 17, 19, 20, 26, 31, 5, 0, 0, 0, 0, 0, 0, 0)),
    ):
        if recording.startswith(magic):
            return _frames(recording, len(magic), sizes) / FRAMES_PER_SECOND
    return None


def mp4(seed: str) -> bytes:
    """The boxes of an MP4 file without a track: enough for whoever looks at its type."""
    brands = b"isom" + struct.pack(">I", 512) + b"isommp41"
    header = struct.pack(">IIIII", 0, 0, 0, 1000, 1000) + struct.pack(">I", 0x10000)
    header += b"\x01\x00" + bytes(10)
    header += struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000) + bytes(24)
    header += struct.pack(">I", 1)
    movie = _box(b"moov", _box(b"mvhd", header))
    return _box(b"ftyp", brands) + movie + _box(b"mdat", _bytes(seed, 256))


def _frames(recording: bytes, at: int, sizes: tuple[int, ...]) -> int:
    count = 0
    while at < len(recording):
        at += 1 + sizes[recording[at] >> 3 & 15]
        count += 1
    return count


def _box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + name + content


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def _bytes(seed: str, count: int) -> bytes:
    return hashlib.shake_256(seed.encode()).digest(count)


def _tiles(seed: str, count: int) -> Iterator[tuple[int, int, int]]:
    """Light colours as quantized DC coefficients of Y, Cb and Cr."""
    noise = _bytes(seed, 3 * count)
    hue_b, hue_r = noise[0] % 40 - 20, noise[1] % 40 - 20
    for at in range(0, 3 * count, 3):
        light, blue, red = noise[at : at + 3]
        yield 8 + light % 44, hue_b + blue % 20 - 10, hue_r + red % 20 - 10


def _entropy(tiles: Iterator[tuple[int, int, int]]) -> bytes:
    codes = _dc_codes()
    before, bits = [0, 0, 0], []
    for tile in tiles:
        for component, value in enumerate(tile):
            bits += [_difference(value - before[component], codes), _END_OF_BLOCK]
            before[component] = value
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    packed = int(text, 2).to_bytes(len(text) // 8, "big")
    return packed.replace(b"\xff", b"\xff\x00")


def _difference(value: int, codes: dict[int, str]) -> str:
    size = abs(value).bit_length()
    if size == 0:
        return codes[0]
    # Negative numbers are written as their distance from the largest of their size.
    shifted = value if value > 0 else value + (1 << size) - 1
    return codes[size] + f"{shifted:0{size}b}"


def _dc_codes() -> dict[int, str]:
    codes: dict[int, str] = {}
    code = symbol = 0
    for length, count in enumerate(_DC_COUNTS, start=1):
        for _ in range(count):
            codes[symbol] = f"{code:0{length}b}"
            code, symbol = code + 1, symbol + 1
        code <<= 1
    return codes
