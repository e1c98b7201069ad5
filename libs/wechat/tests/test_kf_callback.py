import pytest
from queqiao_wechat.fields import MessageError
from queqiao_wechat.kf_callback import KfCallback, parse_kf_callback


def test_an_announcement_says_where_to_pull_and_with_what():
    callback = parse_kf_callback(
        b"<xml><ToUserName><![CDATA[ww1]]></ToUserName><CreateTime>1</CreateTime>"
        b"<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[kf_msg_or_event]]></Event>"
        b"<Token><![CDATA[ENC1]]></Token><OpenKfId><![CDATA[wk1]]></OpenKfId><New>1</New></xml>"
    )

    assert callback == KfCallback(
        to_user="ww1",
        name="kf_msg_or_event",
        open_kf_id="wk1",
        token="ENC1",
        fields={"New": "1"},
    )
    assert callback.is_announcement


@pytest.mark.parametrize(
    "body",
    [
        b"<xml><Event>kf_msg_or_event</Event></xml>",
        b"<xml><Event>other</Event><OpenKfId>wk1</OpenKfId></xml>",
    ],
)
def test_other_events_announce_nothing(body):
    assert not parse_kf_callback(body).is_announcement


@pytest.mark.parametrize("body", [b"", b"<xml/>", b"<xml><MsgType>text</MsgType></xml>", b"{"])
def test_what_is_no_event_is_said_to_be_none(body):
    with pytest.raises(MessageError):
        parse_kf_callback(body)
