import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_wechat.aibot import (
    MAX_ITEMS,
    BotEvent,
    BotMedia,
    BotMessage,
    BotPoll,
    bot_dedupe_key,
    encrypt_bot_answer,
    parse_bot_push,
    stream_answer,
    welcome_answer,
)
from queqiao_wechat.crypto import Cipher
from queqiao_wechat.fields import MessageError
from queqiao_wechat.signature import sign

CIPHER = Cipher("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG", "")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)
NAMES = st.sampled_from(
    ["msgid", "chatid", "chattype", "from", "msgtype", "text", "mixed", "voice", "quote", "event"]
)


def push(**fields):
    defaults = {"msgid": "1", "from": {"userid": "zhang"}, "msgtype": "text"}
    return parse_bot_push(msgspec.json.encode(defaults | fields))


def test_a_text_of_a_single_chat_keeps_what_looks_like_a_mention():
    message = push(chattype="single", text={"content": "@小鹊 你好"})

    assert isinstance(message, BotMessage)
    assert message.text == "@小鹊 你好"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("@小鹊 你好", "你好"),
        ("@小鹊\u2005你好 世界", "你好 世界"),
        ("@小鹊", "@小鹊"),
        ("你好 @小鹊", "你好 @小鹊"),
        ("a@b.example 写信", "a@b.example 写信"),
    ],
)
def test_in_a_group_the_mention_before_the_text_is_left_out(content, text):
    message = push(chattype="group", chatid="wr1", text={"content": content})

    assert isinstance(message, BotMessage)
    assert (message.text, message.chat_id) == (text, "wr1")


def test_a_mixed_message_and_a_mixed_quote_are_read_in_order():
    items = [
        {"msgtype": "text", "text": {"content": "一"}},
        {"msgtype": "image", "image": {"url": "u1"}},
        {"msgtype": "text", "text": {"content": "二"}},
    ]
    message = push(
        msgtype="mixed",
        mixed={"msg_item": items},
        quote={"msgtype": "mixed", "mixed": {"msg_item": items}},
    )

    assert isinstance(message, BotMessage)
    assert (message.text, message.quoted) == ("一\n二", "一\n二")
    assert message.media == (BotMedia("image", "u1"),)


def test_a_mixed_message_has_a_bound():
    items = [{"msgtype": "image", "image": {"url": f"u{number}"}} for number in range(100)]

    message = push(msgtype="mixed", mixed={"msg_item": items})

    assert isinstance(message, BotMessage)
    assert len(message.media) == MAX_ITEMS


def test_a_poll_and_an_event_are_told_from_messages():
    poll = push(msgtype="stream", stream={"id": "s1"})
    event = push(msgtype="event", event={"eventtype": "feedback_event", "feedback_event": {"a": 1}})

    assert isinstance(poll, BotPoll)
    assert poll.stream_id == "s1"
    assert isinstance(event, BotEvent)
    assert event.name == "feedback_event"
    assert event.fields["event.feedback_event.a"] == "1"


def test_unknown_types_and_fields_are_kept():
    message = push(msgtype="hologram", hologram={"pixels": 4})

    assert isinstance(message, BotMessage)
    assert (message.msg_type, message.fields) == ("hologram", {"hologram.pixels": "4"})


@pytest.mark.parametrize("body", [b"{}", b"", b"<xml/>", b'{"msgtype":"text"}', b"[]"])
def test_what_is_no_push_is_said_to_be_none(body):
    with pytest.raises(MessageError):
        parse_bot_push(body)


def test_a_message_is_known_by_its_sender_and_msgid():
    def key(**fields):
        message = push(**fields)
        assert isinstance(message, BotMessage)
        return bot_dedupe_key(message)

    assert key() == key(text={"content": "again"})
    assert key() != key(msgid="2")
    assert key() != key(**{"from": {"userid": "li"}})
    assert key(msgid="", text={"content": "a"}) != key(msgid="", text={"content": "b"})
    assert "zhang" not in key()


def test_the_reference_vector_of_an_answer():
    """Only the random prefix is ours to choose: all else is what the platform computes."""
    plain = '{"msgtype":"stream","stream":{"id":"s1","finish":false,"content":"思考中"}}'.encode()

    encrypted = CIPHER.encrypt(plain, b"EEEEFFFFGGGGHHHH")

    assert stream_answer("s1", "思考中", is_final=False) == plain
    assert encrypted.startswith("uJsglMUPwicOJ0IA7eqTkhbGSD6iL6lXqm73NmoiNjkylPA4D7N9uBHCrJldaO6V")
    assert sign("bridge_token_2026", "1767225600", "1320562132", encrypted) == (
        "0bfdd9e006cdcd3a66e350fcbc90497b2870492d"
    )


def test_an_answer_is_sealed_in_lowercase():
    sealed = msgspec.json.decode(
        encrypt_bot_answer(CIPHER, "token", welcome_answer("你好"), timestamp=1, nonce="n")
    )

    assert sorted(sealed) == ["encrypt", "msgsignature", "nonce", "timestamp"]
    assert sealed["timestamp"] == 1
    assert sealed["msgsignature"] == sign("token", "1", "n", sealed["encrypt"])
    assert msgspec.json.decode(CIPHER.decrypt(sealed["encrypt"]))["text"] == {"content": "你好"}


@given(st.dictionaries(NAMES, VALUES))
def test_any_object_is_read_or_refused(fields):
    try:
        found = parse_bot_push(msgspec.json.encode(fields))
    except MessageError:
        return
    if isinstance(found, BotMessage):
        assert bot_dedupe_key(found).startswith("m_")
