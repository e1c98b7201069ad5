"""What every section is made of: names, durations, and secrets that are never printed."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from queqiao_common.errors import SettingsError

REFERENCE = re.compile(r"\$\{(file:)?([^}]+)\}")
Seconds = Annotated[float, Meta(ge=0)]
Name = Annotated[str, Meta(pattern="^[a-z0-9_-]+$")]


class Secret:
    """A value that is never printed, and looked up only when a service uses it."""

    __slots__ = ("_environ", "_text")

    def __init__(self, text: str = "", environ: Mapping[str, str] | None = None) -> None:
        self._text = text
        self._environ = os.environ if environ is None else environ

    def __repr__(self) -> str:
        return "Secret(***)" if self._text else "Secret()"

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def reveal(self) -> str:
        """Return the value itself.

        Raises:
            SettingsError: the variable or file that the configuration names is missing.
        """
        return expand(self._text, self._environ)


def expand(text: str, environ: Mapping[str, str]) -> str:
    """Replace `${NAME}` and `${file:/path}` in a configured value.

    Raises:
        SettingsError: naming the variable or file that is missing.
    """

    def one(match: re.Match[str]) -> str:
        if match[1]:
            try:
                return Path(match[2]).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise SettingsError((f"file {match[2]} cannot be read",)) from error
        if match[2] not in environ:
            raise SettingsError((f"environment variable {match[2]} is not set",))
        return environ[match[2]]

    return REFERENCE.sub(one, text)


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the configuration file."""


def environment(name: str, default: str = "") -> str:
    """Return one of our own variables (`QUEQIAO_...`)."""
    return os.environ.get(name, default)
