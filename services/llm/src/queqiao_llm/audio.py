"""Sound: what it is, how long it lasts, and what turns one format into another."""

import asyncio
import contextlib
import io
import resource
import wave
from collections.abc import Sequence

from queqiao_common.errors import QueqiaoError

MIME = {"wav": "audio/wav", "mp3": "audio/mpeg", "amr": "audio/amr", "ogg": "audio/ogg"}
LONGEST = 90.0
"""Seconds of sound that are read: WeChat records 60 at most."""
TIME = 20.0
"""Seconds for one conversion; a minute of voice takes a tenth of one."""
MEMORY = 512 * 1024 * 1024
"""Bytes of address space of one converter."""
AT_ONCE = 2
"""Converters at work in one replica."""

BEGINNINGS = (
    (b"#!AMR\n", "amr"),
    (b"#!AMR-WB\n", "amr"),
    (b"OggS", "ogg"),
    (b"RIFF", "wav"),
    (b"ID3", "mp3"),
    (b"#!SILK", "silk"),
    (b"\x02#!SILK", "silk"),
)
READABLE = ("amr", "ogg", "wav", "mp3")
"""What the converter reads. Speex comes in Ogg, in which egress has put WeChat's bare frames; SILK
is not among them, as no door of ours is sent any (kf is asked for AMR)."""

AMR_FRAMES = (13, 14, 16, 18, 20, 21, 27, 32, 6, 1, 1, 1, 1, 1, 1, 1)
AMR_WIDE_FRAMES = (18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 1, 1, 1, 1, 1, 1)
"""Bytes of a frame of 20 ms by its mode, with its head. Source: RFC 4867, 5.3."""
MP3_RATES = (
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
"""Kilobits a second of MPEG-1 and of MPEG-2 layer III, by the index in a frame's head."""
MP3_SAMPLES = ((44_100, 48_000, 32_000), (22_050, 24_000, 16_000), (11_025, 12_000, 8_000))


class Unconvertible(QueqiaoError):  # noqa: N818 - named for what is the case
    """This sound cannot be converted: the reason says whether that lies in it or in the machine."""


def format_of(sound: bytes) -> str:
    """Tell the format by its first bytes, whatever its name says; empty: none that we know."""
    for beginning, name in BEGINNINGS:
        if sound.startswith(beginning):
            return name
    return "mp3" if len(sound) > 1 and sound[0] == 0xFF and sound[1] & 0xE6 == 0xE2 else ""


def seconds_of(sound: bytes) -> float:
    """Return how long AMR or MP3 lasts, by its frames; 0 for anything else."""
    match format_of(sound):
        case "amr" if sound.startswith(b"#!AMR-WB\n"):
            return _amr_seconds(sound[9:], AMR_WIDE_FRAMES)
        case "amr":
            return _amr_seconds(sound[6:], AMR_FRAMES)
        case "mp3":
            return _mp3_seconds(sound)
        case _:
            return 0.0


def _amr_seconds(frames: bytes, sizes: Sequence[int]) -> float:
    at = count = 0
    while at < len(frames):
        at += sizes[frames[at] >> 3 & 15]
        count += 1
    return count * 0.02


def _mp3_seconds(sound: bytes) -> float:
    at, seconds = _behind_tag(sound), 0.0
    while at + 4 <= len(sound):
        size, lasts = _mp3_frame(sound[at : at + 4])
        seconds += lasts
        at += size
    return seconds


def _behind_tag(sound: bytes) -> int:
    """Return where the sound begins: behind an ID3 tag, whose size has 7 bits in each byte."""
    if not sound.startswith(b"ID3") or len(sound) < 10:
        return 0
    size = 0
    for byte in sound[6:10]:
        size = size << 7 | byte & 0x7F
    return 10 + size


def _mp3_frame(head: bytes) -> tuple[int, float]:
    """Return the bytes of a frame and the seconds it lasts; one byte of nothing where none begins.

    Source: ISO/IEC 11172-3, 2.4.1.3.
    """
    version, rate, sampling = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    is_frame = head[0] == 0xFF and head[1] & 0xE6 == 0xE2 and version != 1
    if not is_frame or rate in (0, 15) or sampling == 3:
        return 1, 0.0
    is_first = version == 3
    samples = MP3_SAMPLES[{3: 0, 2: 1, 0: 2}[version]][sampling]
    bits = MP3_RATES[0 if is_first else 1][rate] * 1000
    padding = head[2] >> 1 & 1
    many = 1152 if is_first else 576
    return many // 8 * bits // samples + padding, many / samples


class Converter:
    """Converts sound by `ffmpeg`, and to AMR by `sox`, which Debian's ffmpeg cannot write.

    Each is a process with little time and memory, told what it reads: it never guesses, so that no
    sound can pass for a playlist of addresses.
    """

    def __init__(self, *, ffmpeg: str = "ffmpeg", sox: str = "sox") -> None:
        self._ffmpeg = ffmpeg
        self._sox = sox
        self._places = asyncio.Semaphore(AT_ONCE)

    async def convert(self, sound: bytes, target: str) -> bytes:
        """Convert sound to `wav` (16 kHz, mono), `mp3` or `amr`; what is that already stays as is.

        Raises:
            Unconvertible: no such sound, or the programs are missing or fail.
        """
        source = format_of(sound)
        if source == target:
            return sound
        if source not in READABLE:
            raise Unconvertible(f"cannot read {source or 'an unknown format'}")
        async with self._places:
            if target == "mp3":
                options = ("-ar", "24000", "-b:a", "48k", "-f", "mp3")
                return await self._decoded(sound, source, *options)
            rate = 8000 if target == "amr" else 16_000
            samples = await self._decoded(sound, source, "-ar", str(rate), "-f", "s16le")
            if target == "wav":
                return _as_wav(samples, rate)
            raw = ("-t", "raw", "-r", str(rate), "-e", "signed", "-b", "16", "-c", "1", "-")
            return await run((self._sox, "-V0", *raw, "-t", "amr-nb", "-C", "7", "-"), samples)

    async def _decoded(self, sound: bytes, source: str, *options: str) -> bytes:
        command = (
            *(self._ffmpeg, "-hide_banner", "-loglevel", "error", "-threads", "1"),
            *("-protocol_whitelist", "pipe", "-f", source, "-t", f"{LONGEST:g}", "-i", "pipe:0"),
            *("-vn", "-map_metadata", "-1", "-ac", "1", *options, "pipe:1"),
        )
        return await run(command, sound)


async def run(command: Sequence[str], given: bytes) -> bytes:
    """Run a program on what it is given, and return what it writes.

    Raises:
        Unconvertible: it is missing, fails, writes nothing or takes too long.
    """
    name = command[0].rpartition("/")[2]
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL
        )
    except OSError as error:
        raise Unconvertible(f"{name} cannot be started: is it installed?") from error
    try:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(process.pid, resource.RLIMIT_AS, (MEMORY, MEMORY))
        async with asyncio.timeout(TIME):
            written, _ = await process.communicate(given)
    except TimeoutError:
        raise Unconvertible(f"{name} took longer than {TIME:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode or not written:
        raise Unconvertible(f"{name} ended with {process.returncode}")
    return written


def _as_wav(samples: bytes, rate: int) -> bytes:
    """Put a head before the samples: one that ffmpeg writes to a pipe does not know the length."""
    written = io.BytesIO()
    with wave.open(written, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(samples)
    return written.getvalue()
