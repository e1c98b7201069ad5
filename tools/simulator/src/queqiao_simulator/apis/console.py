"""Menus, QR codes and what is known of users (reference 9)."""

from typing import TYPE_CHECKING, Any

from queqiao_simulator import menus
from queqiao_simulator.accounts import unionid_of
from queqiao_simulator.apis.calls import OK, UNAUTHORIZED, ApiCall, Handler
from queqiao_simulator.refusals import Refused

if TYPE_CHECKING:
    from queqiao_simulator.world import World

WITH_MENU = ("service", "subscription", "wecom")
OFFICIAL = ("service", "subscription")


def create_menu(_: "World", call: ApiCall) -> dict[str, Any]:
    """`POST /cgi-bin/menu/create`."""
    call.sender(*WITH_MENU)
    account = call.speaker()
    account.take("menu_create", call.now)
    account.menu = menus.checked(call.post())
    return OK


def get_menu(_: "World", call: ApiCall) -> dict[str, Any]:
    """`GET /cgi-bin/menu/get`."""
    account = call.sender(*WITH_MENU)
    if account.menu is None:
        raise Refused(menus.NO_MENU)
    return account.menu if account.settings.is_wecom else {"menu": account.menu}


def delete_menu(_: "World", call: ApiCall) -> dict[str, Any]:
    """`GET /cgi-bin/menu/delete`."""
    call.sender(*WITH_MENU).menu = None
    return OK


def current_menu(_: "World", call: ApiCall) -> dict[str, Any]:
    """`GET /cgi-bin/get_current_selfmenu_info`: lists of sub-buttons are wrapped here."""
    account = call.sender(*OFFICIAL)
    if account.menu is None:
        return {"is_menu_open": 0}
    buttons = [
        {**button, "sub_button": {"list": button["sub_button"]}}
        if button.get("sub_button")
        else button
        for button in account.menu["button"]
    ]
    return {"is_menu_open": 1, "selfmenu_info": {"button": buttons}}


def create_qrcode(_: "World", call: ApiCall) -> dict[str, Any]:
    """`POST /cgi-bin/qrcode/create`."""
    account, body = call.sender(*OFFICIAL), call.post()
    if not account.settings.may_send:
        raise Refused(UNAUTHORIZED)
    account.take("qrcode_create", call.now)
    scene, seconds = account.scenes.create(body, call.now)
    expiry = {} if seconds is None else {"expire_seconds": seconds}
    url = f"http://weixin.qq.com/q/{scene.ticket[-24:]}"
    return {"ticket": scene.ticket, **expiry, "url": url}


def user_info(_: "World", call: ApiCall) -> dict[str, Any]:
    """`GET /cgi-bin/user/info?openid=`: without a name and a face, as since 2021."""
    call.sender(*OFFICIAL)
    account = call.speaker()
    account.take("user_info", call.now)
    call.openid = call.query.get("openid", "")
    chat = account.conversations.get(call.openid)
    if chat is None:
        raise Refused(40003)
    if not chat.subscribed:
        return {"subscribe": 0, "openid": chat.openid, "unionid": unionid_of(chat.name)}
    return {
        "subscribe": 1,
        "openid": chat.openid,
        "language": call.query.get("lang", "zh_CN"),
        "subscribe_time": int(chat.subscribed_at),
        "unionid": unionid_of(chat.name),
        "remark": "",
        "groupid": 0,
        "tagid_list": [],
        "subscribe_scene": "ADD_SCENE_QR_CODE" if chat.scene else "ADD_SCENE_SEARCH",
        "qr_scene": int(chat.scene) if chat.scene.isdigit() else 0,
        "qr_scene_str": "" if chat.scene.isdigit() else chat.scene,
    }


HANDLERS: dict[str, Handler] = {
    "/cgi-bin/menu/create": create_menu,
    "/cgi-bin/menu/get": get_menu,
    "/cgi-bin/menu/delete": delete_menu,
    "/cgi-bin/get_current_selfmenu_info": current_menu,
    "/cgi-bin/qrcode/create": create_qrcode,
    "/cgi-bin/user/info": user_info,
}
