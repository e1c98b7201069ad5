"""`[[rules]]`: what a user did, and the first rule that fits it. Pure.

Ingress asks whether anything will be said, context what.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from queqiao_common.events import InboundMessage
from queqiao_common.settings import Rule

LONGEST = 200
"""Characters of a text that rules look at: keywords stand at its beginning, and time is bounded."""
QR = "qrscene_"


@dataclass(frozen=True, slots=True)
class Occasion:
    """Something that rules may be about: `text` is what their values are compared with."""

    on: Literal["text", "click", "scan", "subscribe", "enter"]
    text: str


def occasions(message: InboundMessage, text: str) -> tuple[Occasion, ...]:
    """Return what a message is an occasion for; `text` is the message as it was screened.

    A new follower who came by a QR code has scanned it, too.
    """
    if message.kind == "text":
        return (Occasion("text", text),)
    if message.kind != "platform_event":
        return ()
    scene = message.scene or message.event_key.removeprefix(QR)
    if message.trigger == "enter":
        return (Occasion("enter", scene),)
    match message.platform_event:
        case "click":
            return (Occasion("click", message.event_key),)
        case "scan":
            return (Occasion("scan", scene),)
        case "subscribe" if scene:
            return (Occasion("scan", scene), Occasion("subscribe", scene))
        case "subscribe":
            return (Occasion("subscribe", ""),)
        case _:
            return ()


def first_fitting(rules: Iterable[Rule], occasions: tuple[Occasion, ...]) -> Rule | None:
    """Return the first rule that fits any of the occasions."""
    for rule in rules:
        if any(fits(rule, occasion) for occasion in occasions):
            return rule
    return None


def fits(rule: Rule, occasion: Occasion) -> bool:
    """Whether a rule is about this occasion; without values it is about every one of its kind."""
    if rule.on != occasion.on:
        return False
    text = occasion.text.strip()[:LONGEST]
    return not rule.values or any(_fits(rule, value, text) for value in rule.values)


def _fits(rule: Rule, value: str, text: str) -> bool:
    match rule.match:
        case "exact":
            return text.casefold() == value.strip().casefold()
        case "prefix":
            return text.casefold().startswith(value.strip().casefold())
        case "regex":
            return re.search(value, text, re.IGNORECASE) is not None
