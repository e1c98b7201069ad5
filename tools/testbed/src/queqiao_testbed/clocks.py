"""Wall clocks that are wrong, each replica's its own: libfaketime, as Debian packages it."""

from functools import cache
from pathlib import Path

PACKAGE = "libfaketime"
"""What Debian calls it."""
PLACES = ("/usr/lib", "/usr/local/lib")


@cache
def find_library() -> Path | None:
    """Return the library that stands between a process and its clock; None: not installed."""
    found = (path for place in PLACES for path in Path(place).glob("**/libfaketimeMT.so.1"))
    return next(found, None)


class Clock:
    """The wall clock of one replica, right until told otherwise.

    Its monotonic clock stays right: that is what a step of NTP, or a resumed machine, looks like.
    """

    def __init__(self, path: Path, library: Path) -> None:
        self._path = path
        self._library = library
        self.set(0.0)

    def set(self, seconds: float) -> None:
        """Let it be so many seconds ahead (negative: behind); the process sees it within one."""
        new = self._path.with_suffix(".new")
        new.write_text(f"{seconds:+.3f}\n", encoding="utf-8")
        new.replace(self._path)

    @property
    def variables(self) -> dict[str, str]:
        """The environment of a process that lives by this clock."""
        return {
            "LD_PRELOAD": str(self._library),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_TIMESTAMP_FILE": str(self._path),
            "FAKETIME_CACHE_DURATION": "1",
        }
