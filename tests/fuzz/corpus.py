"""Where a campaign begins: what WeChat sends, and what has broken parsers of its kind."""

import msgspec

from services.ingress.tests import wechat, wecom

SEEDS: tuple[bytes, ...] = (
    b"",
    wechat.text(),
    wechat.xml("<MediaId>M</MediaId><PicUrl>http://mmbiz.qpic.cn/1</PicUrl>", kind="image"),
    wechat.xml("<Location_X>1e999</Location_X><Location_Y>nan</Location_Y>", kind="location"),
    wechat.event("subscribe", "<EventKey>qrscene_1</EventKey>"),
    wechat.event("SCAN", "<ScanCodeInfo><ScanResult>1</ScanResult></ScanCodeInfo>"),
    wecom.app_text(),
    wecom.announcement(),
    msgspec.json.encode(wecom.message()),
    msgspec.json.encode(wecom.message(msgtype="stream", stream={"id": "m_" + "0" * 32})),
    msgspec.json.encode(wecom.message(msgtype="event", event={"eventtype": "enter_chat"})),
    msgspec.json.encode(wecom.message(msgtype="mixed", mixed={"msg_item": [{"msgtype": "text"}]})),
    b'{"ToUserName":"gh_1","FromUserName":"o1","CreateTime":1e400,"MsgType":"text","MsgId":1e9}',
    b'{"a":' * 500 + b"1" + b"}" * 500,
    b"<xml>" + b"<a>" * 400 + b"</a>" * 400 + b"</xml>",
    b"<xml>" + b"<a/>" * 16_000 + b"</xml>",
    b"<xml><Encrypt>" + b"A" * 60_000,
    b'"Encrypt":' * 6_000,
    b"<Encrypt><![CDATA[" * 3_000,
    b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><xml>&b;</xml>',
    b"signature=%ff%zz&timestamp&nonce=%00&&=;&echostr=%ed%a0%80\n<xml/>",
    b"&".join([b"a=1"] * 400),
    b"\xef\xbb\xbf<?xml version='1.0' encoding='utf-16'?><xml/>",
)
WORDS: tuple[bytes, ...] = (
    *(
        b"<![CDATA[",
        b"]]>",
        b"</xml>",
        b"<xml>",
        b"<MsgType>",
        b"<Encrypt>",
        b'"Encrypt":"',
        b"<!--",
    ),
    *(
        b"\x00",
        b"\xff",
        b"\xed\xa0\x80",
        b"\xf0\x9f\xa6\x86",
        b"&#0;",
        b"&lt;",
        b"\n",
        b"=",
        b"%",
        b"&",
    ),
    *(b"{", b"}", b"[", b"null", b"-1", b"9" * 400, b"1e999"),
    *(b"event", b"stream", b"mixed", b"qrscene_"),
)
