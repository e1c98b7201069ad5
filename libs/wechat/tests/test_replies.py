import json
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from queqiao_wechat.crypto import Cipher
from queqiao_wechat.replies import encrypt_reply, encrypt_reply_json, text_reply, transfer_reply
from queqiao_wechat.signature import is_signed
from queqiao_wechat.text import clean_text

CIPHER = Cipher("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG", "wx1234567890abcdef")
NAMES = {"to_user": "oABCDEFGHIJKLMNOPQRSTUVWXYZ0", "from_user": "gh_0123456789ab"}


def read(xml: bytes) -> dict[str, str]:
    return {child.tag: child.text or "" for child in ElementTree.fromstring(xml)}  # noqa: S314 - our own bytes


def test_a_text_reply_is_the_documented_one():
    reply = text_reply(**NAMES, created=1767225601, content="收到")

    assert reply.decode() == (
        "<xml><ToUserName><![CDATA[oABCDEFGHIJKLMNOPQRSTUVWXYZ0]]></ToUserName>"
        "<FromUserName><![CDATA[gh_0123456789ab]]></FromUserName>"
        "<CreateTime>1767225601</CreateTime><MsgType><![CDATA[text]]></MsgType>"
        "<Content><![CDATA[收到]]></Content></xml>"
    )


@given(
    content=st.one_of(
        st.text(), st.text("]><![CDAT&;\r\n\x00\ud800\ufffe 文"), st.just("]]]]>>]]>")
    )
)
def test_any_text_arrives_as_it_was_cleaned(content):
    """A model's answer with `]]>` or a control character must not break the reply."""
    assume(clean_text(content).strip())

    reply = read(text_reply(**NAMES, created=1, content=content))

    assert reply["Content"] == clean_text(content).replace("]]>", "]] >")
    assert list(reply) == ["ToUserName", "FromUserName", "CreateTime", "MsgType", "Content"]


@given(name=st.text())
def test_no_name_can_add_elements(name):
    reply = read(text_reply(to_user=name, from_user=name, created=1, content="x"))

    assert len(reply) == 5


@pytest.mark.parametrize("content", ["", " \n", "\x00\ud800"])
def test_a_reply_without_content_is_refused(content):
    """WeChat shows the user an error for an empty Content, and nothing for an empty body."""
    with pytest.raises(ValueError, match="empty body"):
        text_reply(**NAMES, created=1, content=content)


def test_a_user_can_be_handed_to_any_agent_or_to_one():
    to_any = read(transfer_reply(**NAMES, created=1))
    to_one = transfer_reply(**NAMES, created=1, kf_account="kf01@demo").decode()

    assert to_any["MsgType"] == "transfer_customer_service"
    assert "TransInfo" not in to_any
    assert "<TransInfo><KfAccount><![CDATA[kf01@demo]]></KfAccount></TransInfo>" in to_one


def test_a_sealed_reply_can_be_opened_by_wechat():
    sealed = read(encrypt_reply(CIPHER, "token", b"reply", timestamp=1767225601, nonce="42"))

    assert sealed["TimeStamp"] == "1767225601"
    assert sealed["Nonce"] == "42"
    assert is_signed(sealed["MsgSignature"], "token", "1767225601", "42", sealed["Encrypt"])
    assert CIPHER.decrypt(sealed["Encrypt"]) == b"reply"


def test_a_sealed_reply_may_be_json():
    sealed = json.loads(
        encrypt_reply_json(CIPHER, "token", b"reply", timestamp=1767225601, nonce="42")
    )

    assert sealed["TimeStamp"] == 1767225601
    assert is_signed(sealed["MsgSignature"], "token", "1767225601", "42", sealed["Encrypt"])
    assert CIPHER.decrypt(sealed["Encrypt"]) == b"reply"
