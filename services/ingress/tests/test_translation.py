import pytest
from queqiao_common.events import Media
from queqiao_common.testing import NOW_MS
from queqiao_ingress.translation import event_of
from queqiao_wechat.messages import parse_message

from services.ingress.tests import wechat


def event(*lines, kind="text"):
    message = parse_message(wechat.xml(*lines, kind=kind))
    return event_of(message, wechat.account(), pepper="pepper", received_ms=NOW_MS)


@pytest.mark.parametrize(
    ("kind", "lines", "text"),
    [
        (
            "location",
            "<Location_X>30.27</Location_X><Location_Y>120.15</Location_Y><Label>西湖</Label>",
            "[位置] 西湖（纬度 30.27，经度 120.15）",
        ),
        (
            "link",
            "<Title>标题</Title><Description>摘要</Description><Url>https://a.example/x</Url>",
            "[链接] 标题\n摘要\nhttps://a.example/x",
        ),
        ("link", "<Url>https://a.example/x</Url>", "[链接]\nhttps://a.example/x"),
        (
            "miniprogrampage",
            "<Title>卡片</Title><PagePath>pages/a?id=1</PagePath>",
            "[小程序页面] 卡片\npages/a?id=1",
        ),
    ],
)
def test_what_is_shared_becomes_a_text_that_a_model_understands(kind, lines, text):
    message = event(lines, kind=kind)

    assert (message.kind, message.text, message.msg_type) == ("text", text, kind)


@pytest.mark.parametrize(
    ("kind", "lines", "media"),
    [
        (
            "image",
            "<PicUrl>http://mmbiz.qpic.cn/1</PicUrl><MediaId>M1</MediaId>",
            Media(kind="image", media_id="M1", url="http://mmbiz.qpic.cn/1"),
        ),
        (
            "voice",
            "<MediaId>M8</MediaId><Format>amr</Format>",
            Media(kind="voice", media_id="M8", format="amr"),
        ),
        (
            "voice",
            "<MediaId>M8</MediaId><MediaId16K>M16</MediaId16K><Format>amr</Format>",
            Media(kind="voice", media_id="M16", format="amr"),
        ),
        ("video", "<MediaId>M1</MediaId>", Media(kind="video", media_id="M1")),
        ("shortvideo", "<MediaId>M1</MediaId>", Media(kind="video", media_id="M1")),
    ],
)
def test_what_can_be_fetched_is_named(kind, lines, media):
    """Of a voice message the better recording: half the bandwidth costs words."""
    message = event(lines, kind=kind)

    assert (message.kind, message.msg_type, message.media) == ("unsupported", kind, (media,))


def test_a_tapped_item_of_a_menu_is_named():
    message = event("<Content>满意</Content><bizmsgmenuid>101</bizmsgmenuid>")

    assert (message.menu_id, message.trigger) == ("101", "menu")
