"""The menu below a chat: what it may be, checked before WeChat is asked (protocol reference 9).

Sizes are bytes of UTF-8. Which limit a name below a button has differs between copies of the
documentation (40 and 60): the newer is taken.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct, structs

from queqiao_wechat.text import size

TOP, BELOW = 3, 5
NAME_BYTES, SUB_NAME_BYTES = 16, 60
KEY_BYTES = 128
URL_BYTES = 1024

NEEDS: Mapping[str, tuple[str, ...]] = {
    "click": ("key",),
    "view": ("url",),
    "scancode_push": ("key",),
    "scancode_waitmsg": ("key",),
    "pic_sysphoto": ("key",),
    "pic_photo_or_album": ("key",),
    "pic_weixin": ("key",),
    "location_select": ("key",),
    "media_id": ("media_id",),
    "view_limited": ("media_id",),
    "article_id": ("article_id",),
    "article_view_limited": ("article_id",),
    "miniprogram": ("url", "appid", "pagepath"),
}
"""Every type of button that can be made by API, and what it needs."""
FIELDS = ("key", "url", "media_id", "article_id", "appid", "pagepath")
NEW = "queqiao"
"""Before the key of a button that could only be made in the web console."""


class Button(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One button, or one that opens others: then it has a name and nothing else."""

    name: str
    type: str = ""
    key: str = ""
    url: str = ""
    media_id: str = ""
    article_id: str = ""
    appid: str = ""
    pagepath: str = ""
    sub_button: tuple["Button", ...] = ()


class Menu(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole menu, as the file and the API have it."""

    button: tuple[Button, ...] = ()


class MenuFileError(ValueError):
    """A file that is no menu; `problems` names each, by its place."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


def parse(text: str) -> Menu:
    """Read a menu from TOML: `[[button]]`, with `[[button.sub_button]]` below.

    Raises:
        MenuFileError: naming everything that WeChat would refuse.
    """
    try:
        menu = msgspec.toml.decode(text, type=Menu)
    except (msgspec.MsgspecError, ValueError) as error:
        raise MenuFileError((str(error),)) from None
    if problems := tuple(check(menu)):
        raise MenuFileError(problems)
    return menu


def check(menu: Menu) -> Iterator[str]:
    """Name everything that WeChat would refuse, by its place (`button 2.1`)."""
    if not 1 <= len(menu.button) <= TOP:
        yield f"{len(menu.button)} buttons: a menu has 1 to {TOP}"
    for number, button in enumerate(menu.button, start=1):
        at = f"button {number}"
        yield from _name_problems(button, at, NAME_BYTES)
        if not button.sub_button:
            yield from _act_problems(button, at)
            continue
        if len(button.sub_button) > BELOW:
            yield f"{at}: {len(button.sub_button)} buttons below it, at most {BELOW} are shown"
        if button.type or any(getattr(button, name) for name in FIELDS):
            yield f"{at}: it opens others, so it can have a name and nothing else"
        for below, sub in enumerate(button.sub_button, start=1):
            yield from _name_problems(sub, f"{at}.{below}", SUB_NAME_BYTES)
            if sub.sub_button:
                yield f"{at}.{below}: nothing can be below a button that is below another"
            yield from _act_problems(sub, f"{at}.{below}")


def _name_problems(button: Button, at: str, limit: int) -> Iterator[str]:
    if not button.name.strip():
        yield f"{at}: it has no name"
    elif size(button.name) > limit:
        yield f"{at}: the name {button.name!r} has {size(button.name)} bytes, at most {limit} fit"


def _act_problems(button: Button, at: str) -> Iterator[str]:
    needs = NEEDS.get(button.type)
    if needs is None:
        what = f"type {button.type!r} is none of" if button.type else "type is missing, one of"
        yield f"{at}: {what} {', '.join(NEEDS)}"
        return
    for name in FIELDS:
        value = getattr(button, name)
        if name in needs and not value:
            yield f"{at}: type {button.type!r} needs {name}"
        if name not in needs and value:
            yield f"{at}: type {button.type!r} takes no {name}"
    if size(button.key) > KEY_BYTES:
        yield f"{at}: the key has {size(button.key)} bytes, at most {KEY_BYTES} are taken"
    if size(button.url) > URL_BYTES:
        yield f"{at}: the URL has {size(button.url)} bytes, at most {URL_BYTES} are taken"
    if button.url and not button.url.startswith(("http://", "https://")):
        yield f"{at}: the URL {button.url!r} does not begin with https:// (or http://)"


def described(menu: Menu) -> list[str]:
    """Return a line for each button, for people and for comparing."""
    return list(_lines(menu.button, ""))


def _lines(buttons: Iterable[Button], above: str) -> Iterator[str]:
    for number, button in enumerate(buttons, start=1):
        at = f"{above}{number}"
        act = " ".join(
            (button.type, *(f"{name}={getattr(button, name)}" for name in FIELDS
                            if getattr(button, name)))
        )  # fmt: skip
        yield f"{at} {button.name}" + (f"  [{act}]" if act else "")
        yield from _lines(button.sub_button, f"{at}.")


def body_of(menu: Menu) -> dict[str, object]:
    """Return what `menu/create` takes."""
    found: dict[str, object] = msgspec.to_builtins(menu)
    return found


def from_api(answer: Mapping[str, Any]) -> tuple[Menu, tuple[str, ...]]:
    """Read `menu/get`, or `get_current_selfmenu_info` where the menu was made by hand.

    What cannot be made by API (a text, a picture) becomes a tap with a key of its own; each such
    place is named, so that a rule can be written for it.
    """
    found = answer.get("menu") or answer.get("selfmenu_info")
    buttons = found.get("button") if isinstance(found, dict) else None
    notes: list[str] = []
    return Menu(button=_buttons(buttons, "", notes)), tuple(notes)


def _buttons(found: Any, above: str, notes: list[str]) -> tuple[Button, ...]:
    if isinstance(found, dict):  # `sub_button: {"list": [...]}` in the one answer
        found = found.get("list")
    if not isinstance(found, list):
        return ()
    return tuple(
        _button(one, f"{above}{number}", notes)
        for number, one in enumerate(found, start=1)
        if isinstance(one, dict)
    )


def _button(found: Mapping[str, Any], at: str, notes: list[str]) -> Button:
    name = str(found.get("name", ""))
    if below := _buttons(found.get("sub_button"), f"{at}.", notes):
        return Button(name=name, sub_button=below)
    kind = str(found.get("type", ""))
    if kind in NEEDS:
        fields = {field: str(found[field]) for field in NEEDS[kind] if found.get(field)}
        return structs.replace(Button(name=name, type=kind), **fields)
    notes.append(
        f"button {at} {name!r} was of type {kind!r}, which cannot be made by API: "
        f"answer its key by [[rules]] with on = 'click'. It said: {found.get('value', '')}"
    )
    return Button(name=name, type="click", key=f"{NEW}.{at}")
