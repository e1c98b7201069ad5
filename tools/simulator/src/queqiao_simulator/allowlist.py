"""The administrator's word on an address that asks for tokens without an allowlist. Pure.

Source: protocol reference 5.2: 89503 asks, 89501 waits, 89507 refuses for an hour, 89506 for a day.
"""

from typing import Literal

NOT_ASKED = 0
ASKED = 89503
WAITING = 89501
REFUSED = 89507
REFUSED_TWICE = 89506
HOUR = 3600.0
DAY = 86400.0

Decision = Literal["none", "ask", "accept", "refuse"]


class Confirmation:
    """Whether the account's administrator must confirm the caller's address, and has."""

    def __init__(self) -> None:
        self._state: Literal["none", "ask", "waiting"] = "none"
        self._refusals = 0
        self._refused_until = float("-inf")

    def decide(self, decision: Decision, now: float) -> None:
        """What the administrator does: requires confirmation (`ask`), accepts, or refuses."""
        match decision:
            case "ask":
                self._state = "ask"
            case "refuse":
                self._refusals += 1
                self._state = "ask"
                self._refused_until = now + (HOUR if self._refusals == 1 else DAY)
            case _:
                self._state = "none"
                self._refusals = 0
                self._refused_until = float("-inf")

    def errcode(self, now: float) -> int:
        """The answer to a token call of this moment: 0, or an errcode of the risk flow."""
        if now < self._refused_until:
            return REFUSED if self._refusals == 1 else REFUSED_TWICE
        if self._state == "none":
            return NOT_ASKED
        first = self._state == "ask"
        self._state = "waiting"
        return ASKED if first else WAITING
