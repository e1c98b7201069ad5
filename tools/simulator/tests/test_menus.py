"""The custom menu: limits, and what tapping it does (protocol reference 3.2, 9)."""

import pytest
from queqiao_simulator.menus import checked, find, leaves, tap
from queqiao_simulator.refusals import Refused

CLICK = {"type": "click", "name": "帮助", "key": "HELP"}
VIEW = {"type": "view", "name": "官网", "url": "https://a.example/"}
MENU = {"button": [CLICK, {"name": "更多", "sub_button": [VIEW, {**CLICK, "key": "SUB"}]}]}


@pytest.mark.parametrize(
    ("button", "errcode"),
    [
        ([], 40016),
        ([CLICK] * 4, 40016),
        ([{**CLICK, "name": "长" * 6}], 40018),
        ([{**CLICK, "type": "hologram"}], 40017),
        ([{**CLICK, "key": ""}], 40019),
        ([{**VIEW, "url": "https://" + "x" * 1024}], 40020),
        ([{"name": "多", "sub_button": [VIEW] * 6}], 40023),
        ([{"name": "多", "sub_button": [{**VIEW, "type": "x"}]}], 40024),
        ([{"name": "多", "sub_button": [{**VIEW, "name": "x" * 61}]}], 40025),
        ([{"name": "多", "sub_button": [{**CLICK, "key": "x" * 129}]}], 40026),
    ],
)
def test_a_menu_has_limits(button, errcode):
    with pytest.raises(Refused) as caught:
        checked({"button": button})

    assert caught.value.errcode == errcode


def test_buttons_are_found_by_key_address_or_name():
    assert [leaf["name"] for leaf in leaves(MENU)] == ["帮助", "官网", "帮助"]
    assert find(MENU, "SUB")["key"] == "SUB"
    assert find(MENU, "https://a.example/") == VIEW
    assert find(MENU, "官网") == VIEW
    assert find(None, "HELP") is None


@pytest.mark.parametrize(
    ("kind", "element"),
    [
        ("scancode_waitmsg", "ScanCodeInfo"),
        ("location_select", "SendLocationInfo"),
        ("pic_weixin", "SendPicsInfo"),
    ],
)
def test_buttons_with_a_camera_tell_what_was_taken(kind, element):
    done = tap({"type": kind, "name": "x", "key": "K"})

    assert (done.event, done.key) == (kind, "K")
    assert element in done.fields


def test_wecom_spells_events_in_lowercase():
    assert tap(CLICK, wecom=True).event == "click"


async def test_a_menu_is_created_read_tapped_and_deleted(stage):
    token = await stage.token()
    made = await stage.api("/cgi-bin/menu/create", token, MENU)
    read = await stage.api("/cgi-bin/menu/get", token)
    current = await stage.api("/cgi-bin/get_current_selfmenu_info", token)
    await stage.driver.tap("main", "小鹊", "HELP")
    await stage.driver.tap("main", "小鹊", "官网")
    await stage.settled()
    await stage.api("/cgi-bin/menu/delete", token)
    gone = await stage.api("/cgi-bin/menu/get", token)
    events = sorted((push.fields["Event"], push.fields["EventKey"]) for push in stage.bot.received)

    assert made["errcode"] == 0
    assert read == {"menu": MENU}
    assert current["selfmenu_info"]["button"][1]["sub_button"]["list"][0] == VIEW
    assert events == [("CLICK", "HELP"), ("VIEW", "https://a.example/")]
    assert gone["errcode"] == 46003


async def test_a_click_opens_three_messages(stage):
    token = await stage.token()
    await stage.api("/cgi-bin/menu/create", token, MENU)
    tapped = await stage.driver.tap("main", "小鹊", "HELP")

    codes = [(await stage.send(tapped["openid"], "x", token))["errcode"] for _ in range(4)]

    assert codes == [0, 0, 0, 45047]


async def test_a_button_that_is_not_there_cannot_be_tapped(stage):
    body = {"account": "main", "user": "小鹊", "button": "HELP"}

    assert (await stage.http.post("/control/taps", json=body)).status_code == 404


async def test_an_unverified_account_has_no_menu(stage):
    answer = await stage.api("/cgi-bin/menu/create", await stage.token("paper"), MENU)

    assert answer["errcode"] == 48001


async def test_a_menu_inside_the_chat_is_tapped(stage):
    """It arrives as a text, but counts as a click (protocol reference 6.1)."""
    said, token = await stage.say(), await stage.token()
    menu = {
        "head_content": "满意吗",
        "list": [{"id": "101", "content": "满意"}, {"id": "102", "content": "不满意"}],
        "tail_content": "谢谢",
    }
    body = {"touser": said["openid"], "msgtype": "msgmenu", "msgmenu": menu}
    await stage.api("/cgi-bin/message/custom/send", token, body)
    shown = (await stage.settled())[-1]
    stage.bot.received.clear()

    await stage.driver.choose("main", "小鹊", "102")
    entries = await stage.settled()
    fields = stage.bot.received[0].fields

    assert shown["text"] == "满意吗\n· 满意\n· 不满意\n谢谢"
    assert shown["content"]["items"][0] == {"id": "101", "content": "满意"}
    assert (fields["Content"], fields["bizmsgmenuid"]) == ("不满意", "102")
    assert entries[-1]["text"] == "不满意"


async def test_an_item_that_was_not_offered_cannot_be_chosen(stage):
    body = {"account": "main", "user": "小鹊", "item": "101"}

    assert (await stage.http.post("/control/choices", json=body)).status_code == 404
