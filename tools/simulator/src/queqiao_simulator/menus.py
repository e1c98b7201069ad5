"""The custom menu under a chat: what may be in it, and what tapping it pushes. Pure.

Source: protocol reference 3.2, 9 (menu). Numbers are WeChat's errcodes.
"""

from typing import Any

from msgspec import Struct

from queqiao_simulator.envelope import Fields
from queqiao_simulator.refusals import Refused

TOP_BUTTONS = 3
SUB_BUTTONS = 5
NAME_BYTES = 16
SUB_NAME_BYTES = 60
KEY_BYTES = 128
URL_BYTES = 1024
NO_MENU = 46003

WITH_KEY = frozenset(
    {
        "click", "scancode_push", "scancode_waitmsg", "pic_sysphoto", "pic_photo_or_album",
        "pic_weixin", "location_select",
    }
)  # fmt: skip
WITH_URL = frozenset({"view", "miniprogram"})
WITH_MEDIUM = frozenset({"media_id", "view_limited", "article_id", "article_view_limited"})


class Errcodes(Struct, frozen=True):
    """WeChat numbers the same mistakes differently in a top button and below one."""

    count: int
    kind: int
    name: int
    key: int
    url: int


TOP = Errcodes(40016, 40017, 40018, 40019, 40020)
SUB = Errcodes(40023, 40024, 40025, 40026, 40027)


class Tap(Struct, frozen=True):
    """What tapping a button does: an event, or a medium that is shown at once."""

    event: str = ""
    key: str = ""
    fields: Fields = {}
    media_id: str = ""


def checked(body: dict[str, Any]) -> dict[str, Any]:
    """Let a menu through, or refuse it.

    Raises:
        Refused: 40016 to 40020 and 40023 to 40027.
    """
    buttons = body.get("button")
    if not isinstance(buttons, list) or not 1 <= len(buttons) <= TOP_BUTTONS:
        raise Refused(TOP.count)
    for button in buttons:
        _check(button)
    return {"button": buttons}


def _check(button: Any) -> None:
    if not isinstance(button, dict):
        raise Refused(TOP.count)
    _check_name(button, TOP, NAME_BYTES)
    below = button.get("sub_button")
    if not below:
        _check_leaf(button, TOP)
        return
    if not isinstance(below, list) or len(below) > SUB_BUTTONS:
        raise Refused(SUB.count)
    for sub in below:
        _check_name(sub, SUB, SUB_NAME_BYTES)
        _check_leaf(sub, SUB)


def _check_name(button: dict[str, Any], errcodes: Errcodes, limit: int) -> None:
    if not 1 <= len(str(button.get("name", "")).encode()) <= limit:
        raise Refused(errcodes.name)


def _check_leaf(button: dict[str, Any], errcodes: Errcodes) -> None:
    kind = button.get("type")
    if kind in WITH_KEY:
        if not 1 <= len(str(button.get("key", "")).encode()) <= KEY_BYTES:
            raise Refused(errcodes.key)
    elif kind in WITH_URL:
        if not 1 <= len(str(button.get("url", "")).encode()) <= URL_BYTES:
            raise Refused(errcodes.url)
    elif kind not in WITH_MEDIUM:
        raise Refused(errcodes.kind)


def leaves(menu: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The buttons that do something, in the order of the screen."""
    buttons = menu["button"] if menu else []
    return [leaf for button in buttons for leaf in button.get("sub_button") or [button]]


def find(menu: dict[str, Any] | None, wanted: str) -> dict[str, Any] | None:
    """A button by its key, its address or its name."""
    for button in leaves(menu):
        if wanted in (button.get("key"), button.get("url"), button.get("name")):
            return button
    return None


def tap(button: dict[str, Any], *, wecom: bool = False) -> Tap:
    """What a tap on this button pushes."""
    kind, key = str(button["type"]), str(button.get("key", ""))
    match kind:
        case "click":
            return Tap("click" if wecom else "CLICK", key)
        case "view":
            name = "view" if wecom else "VIEW"
            return Tap(name, str(button["url"]), {"MenuId": 400000001})
        case "miniprogram":
            path = str(button.get("pagepath", ""))
            return Tap("view_miniprogram", path, {"MenuId": 400000001})
        case _ if kind in WITH_MEDIUM:
            return Tap(media_id=str(button.get("media_id") or button.get("article_id") or ""))
        case _:
            return Tap(kind, key, _details(kind))


def _details(kind: str) -> Fields:
    match kind:
        case "scancode_push" | "scancode_waitmsg":
            return {"ScanCodeInfo": {"ScanType": "qrcode", "ScanResult": "simulated"}}
        case "location_select":
            place: Fields = {
                "Location_X": "30.27", "Location_Y": "120.15", "Scale": "16", "Label": "西湖",
                "Poiname": "",
            }  # fmt: skip
            return {"SendLocationInfo": place}
        case _:
            pictures: Fields = {
                "Count": "1",
                "PicList": [{"PicMd5Sum": "0123456789abcdef0123456789abcdef"}],
            }
            return {"SendPicsInfo": pictures}
