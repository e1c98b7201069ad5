"""A sample of every message and event of the protocol reference (3): what stands in its push.

Our readers, another implementation's and `docs/wechat.md` are held against the same samples. The
fields that all pushes have, and a message's `MsgId`, are for the reader to add.
"""


def cdata(**fields: str) -> str:
    """Return elements with these names and texts."""
    return "".join(f"<{name}><![CDATA[{value}]]></{name}>" for name, value in fields.items())


def nested(name: str, inner: str) -> str:
    """Return an element around others."""
    return f"<{name}>{inner}</{name}>"


MENU_TAP = "text, a tapped item of a menu"
TYPES = {MENU_TAP: "text"}
"""The `MsgType` of samples that are not named by it."""

MESSAGES: dict[str, str] = {
    "text": cdata(Content="明天杭州天气?"),
    MENU_TAP: cdata(Content="满意") + "<bizmsgmenuid>101</bizmsgmenuid>",
    "image": cdata(PicUrl="http://mmbiz.qpic.cn/p/1.jpg", MediaId="M_img_1"),
    "voice": cdata(MediaId="M_v8", Format="amr", Recognition="", MediaId16K="M_v16"),
    "video": cdata(MediaId="M_vid", ThumbMediaId="M_th"),
    "shortvideo": cdata(MediaId="M_sv", ThumbMediaId="M_th2"),
    "location": "<Location_X>30.27</Location_X><Location_Y>120.15</Location_Y><Scale>16</Scale>"
    + cdata(Label="西湖"),
    "link": cdata(Title="标题", Description="摘要", Url="https://a.example/x"),
    "miniprogrampage": cdata(
        Title="卡片",
        AppId="wx1234567890abcdef",
        PagePath="pages/a?id=1",
        ThumbUrl="http://mmbiz.qpic.cn/t.jpg",
        ThumbMediaId="M_th3",
    ),
}

_SCANNED = nested("ScanCodeInfo", cdata(ScanType="qrcode", ScanResult="abc"))
_PICTURES = nested(
    "SendPicsInfo",
    "<Count>1</Count>"
    + nested("PicList", nested("item", cdata(PicMd5Sum="5a75aaca956d97be686719218f275c6b"))),
)
_PLACE = nested(
    "SendLocationInfo",
    cdata(Location_X="30.27", Location_Y="120.15", Scale="16", Label="西湖", Poiname=""),
)


def _notice(outer: str, **fields: str) -> str:
    return nested(outer, nested("List", cdata(TemplateId="T1", **fields)))


EVENTS: dict[str, str] = {
    "subscribe": cdata(EventKey="qrscene_inv42", Ticket="TK1"),
    "unsubscribe": cdata(EventKey=""),
    "SCAN": cdata(EventKey="inv42", Ticket="TK1"),
    "LOCATION": "<Latitude>30.27</Latitude><Longitude>120.15</Longitude>"
    "<Precision>65.0</Precision>",
    "CLICK": cdata(EventKey="BTN_HELP"),
    "VIEW": cdata(EventKey="https://a.example/") + "<MenuId>400000001</MenuId>",
    "view_miniprogram": cdata(EventKey="pages/a") + "<MenuId>400000001</MenuId>",
    "scancode_push": cdata(EventKey="SC") + _SCANNED,
    "scancode_waitmsg": cdata(EventKey="SC") + _SCANNED,
    "pic_sysphoto": cdata(EventKey="P") + _PICTURES,
    "pic_photo_or_album": cdata(EventKey="P") + _PICTURES,
    "pic_weixin": cdata(EventKey="P") + _PICTURES,
    "location_select": cdata(EventKey="L") + _PLACE,
    "TEMPLATESENDJOBFINISH": "<MsgID>300000001</MsgID>" + cdata(Status="failed:user block"),
    "MASSSENDJOBFINISH": "<MsgID>300000002</MsgID>"
    + cdata(Status="sendsuccess")
    + "<TotalCount>100</TotalCount><FilterCount>80</FilterCount><SentCount>75</SentCount>"
    "<ErrorCount>5</ErrorCount>",
    "subscribe_msg_popup_event": _notice(
        "SubscribeMsgPopupEvent", SubscribeStatusString="accept", PopupScene="1"
    ),
    "subscribe_msg_change_event": _notice(
        "SubscribeMsgChangeEvent", SubscribeStatusString="reject"
    ),
    "subscribe_msg_sent_event": _notice(
        "SubscribeMsgSentEvent", MsgID="1", ErrorCode="0", ErrorStatus="success"
    ),
    "kf_create_session": cdata(KfAccount="kf01@demo"),
    "kf_close_session": cdata(KfAccount="kf01@demo"),
    "kf_switch_session": cdata(FromKfAccount="kf01@demo", ToKfAccount="kf02@demo"),
    "user_enter_tempsession": cdata(SessionFrom="home_button"),
    "wxa_media_check": cdata(appid="wx1234567890abcdef", trace_id="T-1")
    + "<version>2</version><errcode>0</errcode>"
    + nested("result", cdata(suggest="pass") + "<label>100</label>"),
    "user_info_modified": cdata(OpenID="oX", AppID="wx1", RevokeInfo="1"),
    "user_authorization_revoke": cdata(OpenID="oX", AppID="wx1", RevokeInfo="1", PluginID=""),
    "enter_agent": cdata(EventKey=""),
    "debug_demo": cdata(debug_str="hello world"),
}
