"""Parametric QR codes: tickets, and what scanning one means. Time is given; no I/O.

Source: protocol reference 9 (QR). Numbers are WeChat's errcodes.
"""

import secrets
from typing import Any

from msgspec import Struct

from queqiao_simulator.keeping import Kept
from queqiao_simulator.refusals import Refused

BAD_ACTION = 40053
LONGEST = 2_592_000
DEFAULT_SECONDS = 60  # copies of the documentation disagree: 30 or 60
TEMPORARY = {"QR_SCENE": "scene_id", "QR_STR_SCENE": "scene_str"}
PERMANENT = {"QR_LIMIT_SCENE": "scene_id", "QR_LIMIT_STR_SCENE": "scene_str"}


class Scene(Struct, frozen=True, kw_only=True):
    """One QR code; `until` is Unix seconds, infinite for a permanent one."""

    ticket: str
    value: str
    until: float


class Scenes:
    """The QR codes of one account."""

    def __init__(self) -> None:
        self._scenes: Kept[Scene] = Kept()

    def create(self, body: dict[str, Any], now: float) -> tuple[Scene, int | None]:
        """Make a QR code; answers it and its seconds, None for a permanent one.

        Raises:
            Refused: 40053.
        """
        action = body.get("action_name")
        field = (TEMPORARY | PERMANENT).get(action) if isinstance(action, str) else None
        scene = (body.get("action_info") or {}).get("scene")
        value = scene.get(field) if field and isinstance(scene, dict) else None
        if field is None or not _is_scene(value, field, permanent=action in PERMANENT):
            raise Refused(BAD_ACTION)
        seconds = None if action in PERMANENT else _seconds(body.get("expire_seconds"))
        until = float("inf") if seconds is None else now + seconds
        made = Scene(ticket="gQ" + secrets.token_urlsafe(60), value=str(value), until=until)
        return self._scenes.keep(made.ticket, made), seconds

    def find(self, ticket: str, now: float) -> Scene | None:
        """The QR code of a ticket (or, for tests, of a scene value), unless it has expired."""
        scene = self._scenes.get(ticket) or next(
            (one for one in reversed(self._scenes.values()) if one.value == ticket), None
        )
        return scene if scene is not None and now < scene.until else None


def _is_scene(value: object, field: str, *, permanent: bool) -> bool:
    if field == "scene_str":
        return isinstance(value, str) and 1 <= len(value) <= 64
    largest = 100_000 if permanent else 2**32 - 1
    return isinstance(value, int) and 1 <= value <= largest


def _seconds(given: object) -> int:
    if given is None:
        return DEFAULT_SECONDS
    if not isinstance(given, int) or not 1 <= given <= LONGEST:
        raise Refused(BAD_ACTION)
    return given
