"""The doors beside that of the official account: what each takes, and how it is answered."""

import json

import pytest
from queqiao_common.events import Card, Form, Media, PullWanted
from queqiao_common.settings import Handover, Rule, Secret
from queqiao_ingress.callback import Hold, Ignore, Poll, Publish, RejectedError, Reply, Say, Stream
from queqiao_ingress.doors import open_doors
from queqiao_wechat.crypto import Cipher

from services.ingress.tests import wechat, wecom
from services.ingress.tests.wecom import NOW_MS

ECHO = "IcUfbvpKhaEdSeoj4fRoGHFtrqfB1Ii8dtP1mp6MMiSee4wYaeoFZ1HES1lUGw14xjVKWKN8+BY4BDIcgbv9SQ=="
TRANSFER = Reply(form=Form(kind="transfer"))
WECOM = ("wecom", "wecom_kf", "wecom_bot")


def refusal(call, *arguments, **keywords) -> tuple[int, str]:
    with pytest.raises(RejectedError) as rejected:
        call(*arguments, **keywords)
    return rejected.value.status, rejected.value.reason


# -- official account: more than texts -----------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "part"),
    [
        (Form(kind="transfer"), "<MsgType><![CDATA[transfer_customer_service]]></MsgType></xml>"),
        (Form(kind="transfer", agent="kf01@a"), "<KfAccount><![CDATA[kf01@a]]></KfAccount>"),
        (Form(kind="image", media_id="M"), "<Image><MediaId><![CDATA[M]]></MediaId></Image>"),
        (Form(kind="voice", media_id="M"), "<Voice><MediaId><![CDATA[M]]></MediaId></Voice>"),
        (
            Form(kind="news", card=Card(title="题", url="https://a.example")),
            "<ArticleCount>1</ArticleCount><Articles><item><Title><![CDATA[题]]></Title>",
        ),
    ],
)
def test_every_form_of_a_passive_reply_can_be_given(form, part):
    door = open_doors(wechat.config())["main"]
    callback = door.admit(wechat.signed(), wechat.text(), received_ms=NOW_MS)

    assert part in callback.wrapping.wrap(Reply(form=form), now=1).decode()


def test_a_form_of_a_newer_egress_falls_back_to_its_text():
    door = open_doors(wechat.config())["main"]
    callback = door.admit(wechat.signed(), wechat.text(), received_ms=NOW_MS)

    answer = callback.wrapping.wrap(Reply("文字", Form(kind="hologram")), now=1)

    assert wechat.said(answer) == "文字"
    assert callback.wrapping.wrap(Reply(form=Form(kind="news")), now=1) == b"success"


# -- Mini Program --------------------------------------------------------------------------------

JSON_TEXT = json.dumps(
    {
        "ToUserName": wechat.ORIGINAL_ID,
        "FromUserName": wechat.OPENID,
        "CreateTime": 1767225600,
        "MsgType": "text",
        "Content": "hi",
        "MsgId": 24100000000000010,
    }
).encode()


def mini_program(**fields):
    config = wechat.config(wechat.account(kind="miniprogram", **fields))
    return open_doors(config)["main"]


def test_a_mini_programs_push_in_json_is_handed_over_in_json():
    callback = mini_program().admit(wechat.signed(), JSON_TEXT, received_ms=NOW_MS)

    answer = json.loads(callback.wrapping.wrap(TRANSFER, now=7))

    assert isinstance(callback.purpose, Publish)
    assert not callback.takes_text
    assert callback.purpose.event.text == "hi"
    assert callback.wrapping.media_type == "application/json"
    assert answer == {
        "ToUserName": wechat.OPENID,
        "FromUserName": wechat.ORIGINAL_ID,
        "CreateTime": 7,
        "MsgType": "transfer_customer_service",
    }


def test_a_mini_programs_push_in_xml_is_handed_over_in_xml():
    callback = mini_program().admit(wechat.signed(), wechat.text(), received_ms=NOW_MS)

    answer = callback.wrapping.wrap(TRANSFER, now=7)

    assert b"transfer_customer_service" in answer
    assert callback.wrapping.media_type == "application/xml"


@pytest.mark.parametrize("body", [JSON_TEXT, wechat.text()], ids=["json", "xml"])
def test_a_mini_program_in_safe_mode_is_answered_in_its_format(body):
    door = mini_program(aes_key=Secret(wechat.AES_KEY))
    encrypted = wechat.CIPHER.encrypt(body)
    query, sealed = wechat.sealed(body)
    if body is JSON_TEXT:
        query = wecom.query(encrypted)
        sealed = json.dumps({"ToUserName": "gh_1", "Encrypt": encrypted}).encode()
    callback = door.admit(query, sealed, received_ms=NOW_MS)

    answer = callback.wrapping.wrap(TRANSFER, now=7)

    assert answer.startswith(b'{"Encrypt"' if body is JSON_TEXT else b"<xml><Encrypt>")


def test_no_text_ever_answers_a_mini_program():
    """WeChat documents none: the user would see an error."""
    callback = mini_program().admit(wechat.signed(), JSON_TEXT, received_ms=NOW_MS)

    for reply in (Reply("文字"), Reply("文字", Form(kind="image", media_id="M")), Reply()):
        assert callback.wrapping.wrap(reply, now=1) == b"success"


# -- hand-over where replies go by API -------------------------------------------------------------

BY_API = [
    {"kind": "miniprogram"},
    {"kind": "service", "delivery": "active"},
]
each_by_api = pytest.mark.parametrize("fields", BY_API, ids=["miniprogram", "active"])


def purpose_of(text, fields, *, rules=(), **handover):
    config = wechat.config(wechat.account(**fields))
    config = wechat.replaced(config, handover=Handover(**handover), rules=rules)
    door = open_doors(config)["main"]
    return door.admit(wechat.signed(), wechat.text(text), received_ms=NOW_MS).purpose


@each_by_api
def test_what_asks_for_a_person_is_held(fields):
    """The answer to its callback is the only way to hand its user over."""
    rule = Rule(match="regex", values=("投诉",), handover=True)
    purposes = [
        purpose_of(text, fields, rules=(rule,)) for text in ("转人工", " 人工 ", "我要投诉")
    ]

    assert all(isinstance(one, Hold) for one in purposes)
    assert {(one.mode, one.announces) for one in purposes} == {("transfer", True)}


@each_by_api
def test_an_ordinary_message_is_held_only_for_who_talks_to_a_person(fields):
    """To hold them all would cost a connection for every message, for nothing."""
    purpose = purpose_of("你好", fields)

    assert isinstance(purpose, Publish)
    assert (purpose.announces, purpose.may_hand_over) == (True, True)


@each_by_api
@pytest.mark.parametrize("handover", [{"by_model": True}, {"failures": 2}], ids=str)
def test_every_message_is_held_where_its_answer_may_be_a_person(fields, handover):
    assert isinstance(purpose_of("你好", fields, **handover), Hold)


@each_by_api
def test_nothing_is_held_where_nobody_is_handed_over(fields):
    rule = Rule(values=("转人工",), reply="没有人工")
    for text in ("转人工", "你好"):
        purpose = purpose_of(text, fields, rules=(rule,), enabled=False, by_model=True)

        assert isinstance(purpose, Publish)
        assert (purpose.announces, purpose.may_hand_over) == (True, False)


def test_an_active_account_answers_a_held_callback_with_the_hand_over():
    config = wechat.config(wechat.account(delivery="active"))
    callback = open_doors(config)["main"].admit(
        wechat.signed(), wechat.text("转人工"), received_ms=NOW_MS
    )

    assert b"transfer_customer_service" in callback.wrapping.wrap(TRANSFER, now=7)


def test_who_enters_a_mini_programs_chat_is_published_with_where_from():
    body = json.loads(JSON_TEXT) | {
        "MsgType": "event",
        "Event": "user_enter_tempsession",
        "SessionFrom": "home_button",
    }

    callback = mini_program().admit(wechat.signed(), json.dumps(body).encode(), received_ms=NOW_MS)

    assert callback.message is not None
    assert callback.message.trigger == "enter"
    assert callback.message.scene == "home_button"


# -- WeCom: what all three share -----------------------------------------------------------------


def test_the_reference_vector_of_a_verification_is_answered_with_its_plaintext():
    query = wecom.query(ECHO, echostr=ECHO)

    assert query["msg_signature"] == "2e1b8a32b5d107d5fb23ed99a4b9351573f2e040"
    assert wecom.door("wecom").verify_url(query) == "1616140317555161061"
    assert wecom.door("wecom_kf").verify_url(query) == "1616140317555161061"


def test_a_bot_is_verified_with_an_empty_receiver():
    echo = wecom.BOT.encrypt(b"1616140317555161061")

    assert wecom.door("wecom_bot").verify_url(wecom.query(echo, echostr=echo)) == (
        "1616140317555161061"
    )


@pytest.mark.parametrize("kind", WECOM)
def test_a_verification_with_anything_wrong_is_forbidden(kind):
    door = wecom.door(kind)
    foreign = Cipher(wechat.AES_KEY, "ww_other").encrypt(b"1")
    garbage = (wecom.BOT if kind == "wecom_bot" else wecom.CORP).encrypt(b"\xff")

    assert refusal(door.verify_url, {}) == (403, "no_echostr")
    assert refusal(door.verify_url, {"echostr": ECHO}) == (403, "bad_signature")
    for echo in (foreign, garbage, "汉字"):
        assert refusal(door.verify_url, wecom.query(echo, echostr=echo)) == (403, "undecryptable")


@pytest.mark.parametrize("kind", WECOM)
def test_nothing_that_is_not_encrypted_and_signed_is_believed(kind):
    door = wecom.door(kind)
    query, body = wecom.sealed(wecom.app_text(), cipher=Cipher("Z" * 43, wecom.CORPID))

    assert refusal(door.greet, {}) == (403, "not_encrypted")
    assert refusal(door.greet, {"msg_signature": "1"}) == (403, "bad_signature")
    assert refusal(door.admit, wechat.signed(), wechat.text(), received_ms=0)[0] == 403
    assert refusal(door.admit, query | {"nonce": "2"}, body, received_ms=0)[0] == 403
    assert refusal(door.admit, query, body, received_ms=0) == (403, "undecryptable")


# -- WeCom app -----------------------------------------------------------------------------------


def test_a_members_message_is_held_and_answered_in_sealed_xml():
    callback = wecom.admit(wecom.door("wecom"), wecom.sealed(wecom.app_text("在吗")))

    answer = callback.wrapping.wrap(Reply("在"), now=1)

    assert isinstance(callback.purpose, Hold)
    assert callback.purpose.event.openid == "zhang"
    assert callback.purpose.event.text == "在吗"
    plain = wechat.unsealed(answer, cipher=wecom.CORP)
    assert wechat.said(plain) == "在"
    assert f"<FromUserName><![CDATA[{wecom.CORPID}]]></FromUserName>" in plain.decode()


def test_a_push_to_another_app_of_the_corporation_is_refused():
    """Apps may share a corporation, and an operator may paste one app's address into another."""
    sent = wecom.sealed(wecom.app_text(agent=7), agent=wecom.AGENT)

    assert refusal(wecom.admit, wecom.door("wecom"), sent) == (403, "other_agent")


def test_an_app_has_no_agents_to_hand_over_to():
    callback = wecom.admit(wecom.door("wecom"), wecom.sealed(wecom.app_text()))

    assert callback.wrapping.wrap(TRANSFER, now=1) == b"success"


# -- customer service ----------------------------------------------------------------------------


def test_an_announcement_becomes_a_pull_and_nothing_is_said():
    callback = wecom.admit(wecom.door("wecom_kf"), wecom.sealed(wecom.announcement("ENC1")))

    assert callback.purpose == Publish(
        PullWanted(
            id=f"pull:main:wk1:{NOW_MS}",
            account="main",
            peer="wk1",
            token="ENC1",
            received_ms=NOW_MS,
        )
    )
    assert callback.message is None
    assert callback.wrapping.wrap(Reply("文字"), now=1) == b"success"
    assert "ENC1" not in str(callback.facts)


def test_another_event_at_the_door_of_customer_service_is_acknowledged():
    plain = wecom.announcement(Corp="1").replace(b"kf_msg_or_event", b"kf_account_auth_change")

    callback = wecom.admit(wecom.door("wecom_kf"), wecom.sealed(plain))

    assert callback.purpose == Ignore()
    assert callback.facts == {"platform_event": "kf_account_auth_change", "fields": ["Corp"]}


def test_what_is_no_event_is_malformed_at_the_door_of_customer_service():
    sent = wecom.sealed(wecom.app_text())

    assert refusal(wecom.admit, wecom.door("wecom_kf"), sent) == (400, "malformed")


# -- AI bot --------------------------------------------------------------------------------------


def bot(push, **fields):
    return wecom.admit(wecom.door("wecom_bot", **fields), wecom.to_bot(push))


def test_a_message_to_a_bot_opens_a_stream_named_after_it():
    callback = bot(wecom.message())

    assert isinstance(callback.purpose, Stream)
    event = callback.purpose.event
    assert (event.text, event.openid, event.kind) == ("你好", "zhang", "text")
    assert event.ticket.endswith("response_code=1")
    assert wecom.bot_answer(callback.wrapping.wrap(Reply("思考", is_final=False), now=1)) == {
        "msgtype": "stream",
        "stream": {"id": event.msgid, "finish": False, "content": "思考"},
    }


def test_a_poll_is_told_by_the_id_that_the_message_was_given():
    callback = bot(wecom.message())
    assert isinstance(callback.purpose, Stream)
    msgid = callback.purpose.event.msgid

    poll = bot(wecom.message(msgid="other", msgtype="stream", stream={"id": msgid}))

    assert poll.purpose == Poll("main", msgid)
    assert wecom.bot_answer(poll.wrapping.wrap(Reply("", is_final=True), now=1))["stream"] == {
        "id": msgid,
        "finish": True,
        "content": "",
    }


@pytest.mark.parametrize("stream_id", ["", "s1", "m_" + "g" * 32, "m_*", "m_>", "../" * 9])
def test_no_id_but_ours_is_looked_up(stream_id):
    assert bot(wecom.message(msgtype="stream", stream={"id": stream_id})).purpose == Poll(
        "main", ""
    )


def test_who_comes_to_a_bot_is_welcomed_in_the_answer():
    event = {"eventtype": "enter_chat"}
    callback = bot(wecom.message(msgtype="event", event=event), welcome="你好")

    assert callback.purpose == Say("你好")
    assert wecom.bot_answer(callback.wrapping.wrap(Reply("你好"), now=1)) == {
        "msgtype": "text",
        "text": {"content": "你好"},
    }
    assert callback.wrapping.wrap(Reply(""), now=1) == b""


@pytest.mark.parametrize("name", ["template_card_event", "feedback_event", "brand_new"])
def test_other_events_of_a_bot_are_answered_with_nothing(name):
    event = {"eventtype": name, name: {"type": 1}}

    callback = bot(wecom.message(msgtype="event", event=event))

    assert callback.purpose == Ignore()
    assert callback.wrapping.wrap(Reply(), now=1) == b""
    assert callback.facts["platform_event"] == name


def test_a_groups_conversation_is_not_that_of_its_member():
    """What somebody told the bot alone must not turn up before a group."""
    push = wecom.message(chattype="group", chatid="wr1", text={"content": "@小鹊 天气如何"})

    alone, together = bot(wecom.message()).message, bot(push).message

    assert alone is not None
    assert together is not None
    assert together.text == "天气如何"
    assert together.peer == "wr1"
    assert together.openid == alone.openid
    assert together.conv != alone.conv


@pytest.mark.parametrize(
    ("push", "text", "media"),
    [
        (wecom.message(msgtype="voice", voice={"content": "听写"}), "听写", ()),
        (
            wecom.message(msgtype="image", image={"url": "https://a.example/1"}),
            "",
            (Media(kind="image", url="https://a.example/1", format="aibot"),),
        ),
        (
            wecom.message(msgtype="file", file={"url": "https://a.example/1"}),
            "",
            (Media(kind="file", url="https://a.example/1", format="aibot"),),
        ),
        (
            wecom.message(
                msgtype="mixed",
                mixed={
                    "msg_item": [
                        {"msgtype": "text", "text": {"content": "这是什么"}},
                        {"msgtype": "image", "image": {"url": "https://a.example/1"}},
                        {"msgtype": "image", "image": {"url": "https://a.example/2"}},
                    ]
                },
            ),
            "这是什么",
            (
                Media(kind="image", url="https://a.example/1", format="aibot"),
                Media(kind="image", url="https://a.example/2", format="aibot"),
            ),
        ),
        (
            wecom.message(
                text={"content": "对吗"}, quote={"msgtype": "text", "text": {"content": "原话"}}
            ),
            "（引用：原话）\n对吗",
            (),
        ),
        (wecom.message(msgtype="hologram"), "", ()),
    ],
)
def test_every_type_of_message_to_a_bot_has_its_place(push, text, media):
    push.pop("text") if push["msgtype"] != "text" else None

    message = bot(push).message

    assert message is not None
    assert (message.text, message.media, message.msg_type) == (text, media, push["msgtype"])
    assert message.kind == ("text" if text and not media else "unsupported")
