"""WeCom AI bots: streams that are polled, response_url, encrypted files (reference 10.2)."""

import base64
import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_common.testing import eventually
from queqiao_simulator.answers import Ack, Invalid, Reply
from queqiao_simulator.bot_answers import judge
from queqiao_simulator.bots import BotDesk, sealed
from queqiao_simulator.pictures import jpeg
from queqiao_simulator.refusals import Refused
from queqiao_simulator.rules import BotRules
from queqiao_wechat.aibot import bot_dedupe_key, parse_bot_push
from queqiao_wechat.media import opener

KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
NOW = 1_767_225_600.0
USER = {"user": "zhangsan", "account": "robot"}


def judged(answer, asked="message"):
    return judge(json.dumps({"encrypt": "x"}).encode(), asked, lambda _: as_json(answer), 20480)


def as_json(answer):
    return json.dumps(answer, ensure_ascii=False).encode()


def stream(content="", **more):
    return {"msgtype": "stream", "stream": {"id": "s1", "content": content, **more}}


PICTURE = {
    "base64": base64.b64encode(jpeg("a")).decode(),
    "md5": hashlib.md5(jpeg("a"), usedforsecurity=False).hexdigest(),
}
ITEM = {"msgtype": "image", "image": PICTURE}
CARD = {"msgtype": "template_card", "template_card": {"card_type": "text_notice"}}


@given(st.binary(max_size=200))
def test_files_come_back_as_they_were(body):
    assert opener(KEY)(sealed(body, KEY)) == body


def test_another_key_does_not_open_a_file():
    with pytest.raises(ValueError, match="key"):
        opener(KEY[::-1])(sealed(b"x" * 100, KEY))


def test_three_messages_may_be_in_progress():
    desk = BotDesk(BotRules())
    began = [desk.begin(str(n), "zhangsan", NOW) is not None for n in range(4)]
    other = desk.begin("o", "lisi", NOW)
    desk.end("0")
    after_end = desk.begin("5", "zhangsan", NOW)
    after_cut = desk.begin("6", "zhangsan", NOW + 360)

    assert began == [True, True, True, False]
    assert None not in (other, after_end, after_cut)


def test_a_response_is_sent_once_within_an_hour():
    desk = BotDesk(BotRules())
    code, old = (desk.response("zhangsan", "single", NOW) for _ in range(2))
    desk.use_response(code, NOW + 3599)

    for again, errcode in ((code, 40163), (old, 40029), ("x", 40029)):
        with pytest.raises(Refused) as caught:
            desk.use_response(again, NOW + 3600 if again == old else NOW)
        assert caught.value.errcode == errcode


def test_an_answer_that_does_not_continue_is_counted():
    running = BotDesk(BotRules()).begin("1", "zhangsan", NOW)
    for content in ("你", "你好", "好"):
        running.replace(content)

    assert (running.content, running.rewrites) == ("好", 1)


def test_a_stream_is_judged():
    answer = judged(stream("你好", finish=True))

    assert answer == Reply("stream", "你好", {"stream": "s1", "finish": True})


@pytest.mark.parametrize(
    ("answer", "asked", "reason"),
    [
        (stream(id=""), "message", "stream.id"),
        (stream("字" * 6827), "message", "20481 bytes"),
        (stream(msg_item=[ITEM]), "message", "finish=true"),
        (stream(finish=True, msg_item=[ITEM] * 11), "message", "11 images"),
        (
            stream(finish=True, msg_item=[{**ITEM, "image": {**PICTURE, "md5": "0"}}]),
            "message",
            "md5",
        ),
        (
            stream(finish=True, msg_item=[{**ITEM, "image": {**PICTURE, "base64": "?"}}]),
            "message",
            "base64",
        ),
        (stream(feedback={"id": "x"}), "stream", "first answer"),
        ({"msgtype": "text", "text": {"content": "x"}}, "message", "cannot answer"),
        (CARD, "stream", "cannot answer"),
        (stream(), "feedback", "cannot answer"),
        ({"msgtype": "template_card"}, "message", "card_type"),
        ({"msgtype": "stream"}, "message", "Expected"),
    ],
)
def test_a_wrong_answer_says_what_is_wrong(answer, asked, reason):
    found = judged(answer, asked)

    assert isinstance(found, Invalid)
    assert reason in found.reason


@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        ({"msgtype": "text", "text": {"content": "欢迎"}}, "enter_chat"),
        (CARD, "message"),
        (stream(finish=True, msg_item=[ITEM]), "stream"),
        (stream(feedback={"id": "x" * 256}), "message"),
    ],
)
def test_other_answers_have_their_place(answer, asked):
    assert isinstance(judged(answer, asked), Reply)


def test_a_stream_may_have_a_card():
    answer = stream("好") | {"msgtype": "stream_with_template_card", "template_card": CARD}

    assert judged(answer).content["card"] == CARD


def test_nothing_is_an_answer_and_plain_text_is_none():
    assert isinstance(judge(b"", "message", None, 20480), Ack)
    assert isinstance(judge(b'{"msgtype":"stream"}', "message", lambda _: b"", 1), Invalid)
    assert isinstance(judge(b"<xml/>", "message", lambda _: b"", 1), Invalid)


# -- over HTTP ----------------------------------------------------------------------------------


@pytest.fixture
def streams(stage, bot_answer):
    """A bot that answers each push with the next of these streams, the last one for ever."""

    def play(*answers):
        remaining = list(answers)

        async def script(push):
            return bot_answer(push, remaining.pop(0) if len(remaining) > 1 else remaining[0])

        stage.bot.script = script

    return play


async def test_the_answer_grows_while_the_platform_polls(stage, streams):
    streams(stream("你"), stream("你好"), stream("你好！", finish=True))

    said = await stage.say("在吗", **USER)
    entries = await stage.settled(**USER)
    first, *polls = [push.secret for push in stage.bot.received]

    key = bot_dedupe_key(parse_bot_push(stage.bot.received[0].whole))

    assert entries[0]["key"] == key
    assert (first["msgtype"], first["text"]) == ("text", {"content": "在吗"})
    assert (first["from"], first["chattype"]) == ({"userid": "zhangsan"}, "single")
    assert first["msgid"] == said["msgid"]
    assert first["response_url"].startswith(stage.url)
    assert [poll["stream"] for poll in polls] == [{"id": "s1"}] * 2
    assert "response_url" not in polls[0]
    assert json.loads(stage.bot.received[0].body).keys() == {"encrypt"}
    assert [(one["text"], one["via"]) for one in entries[1:]] == [("你好！", "stream")]
    assert entries[1]["content"]["rewrites"] == 0


async def test_pictures_come_with_the_end_of_the_answer(stage, streams):
    streams(stream("看图"), stream("看图：", finish=True, msg_item=[ITEM]))

    await stage.say(**USER)
    entries = await stage.settled(**USER)
    [shown] = entries[1]["content"]["pictures"]

    assert (await stage.http.get(shown["path"])).content == jpeg("a")
    assert "images" not in entries[1]["content"]


async def test_a_bot_that_says_nothing_is_not_busy(stage):
    for number in range(4):
        await stage.say(str(number), **USER)
        entries = await stage.settled(**USER)

    assert [entry["who"] for entry in entries] == ["user"] * 4


async def test_a_fault_strikes_the_question_and_not_its_polls(stage, streams):
    streams(stream("一"), stream("一二", finish=True))
    await stage.driver.misbehave({"kind": "unknown_type", "count": 1})

    await stage.say(**USER)
    await stage.settled(**USER)

    assert [push.secret["msgtype"] for push in stage.bot.received] == ["hologram", "stream"]


async def test_broken_characters_reach_a_bot_too(stage):
    await stage.driver.misbehave({"kind": "invalid_utf8", "count": 1})
    await stage.say(**USER)
    await stage.settled(**USER)

    with pytest.raises(UnicodeDecodeError):
        stage.bot.received[0].whole.decode()


async def test_an_answer_in_pieces_instead_of_whole_is_noticed(stage, streams):
    streams(stream("你"), stream("好", finish=True))

    await stage.say(**USER)
    entries = await stage.settled(**USER)

    assert (entries[1]["text"], entries[1]["content"]["rewrites"]) == ("好", 1)


async def test_after_six_minutes_the_stream_is_cut(stage, streams):
    streams(stream("还在想"))
    await stage.say(**USER)

    async def shown():
        return len(await stage.transcript(**USER)) == 2

    await eventually(shown)
    await stage.driver.advance(361)
    entries = await stage.settled(**USER)

    assert entries[1]["content"]["cut"] == "six minutes are over"


async def test_a_stream_of_another_id_ends_it(stage, streams):
    streams(stream("一"), stream("二", id="s2"))

    await stage.say(**USER)
    entries = await stage.settled(**USER)

    assert (entries[1]["text"], "s2" in entries[1]["content"]["cut"]) == ("一", True)


async def test_the_fourth_message_in_progress_is_not_pushed(stage, streams):
    streams(stream("还在想"))
    for number in range(4):
        await stage.say(str(number), **USER)

    async def is_refused():
        entries = await stage.transcript(**USER)
        return any(one["who"] == "platform" for one in entries)

    await eventually(is_refused)
    pushes = await stage.pushes(**USER)
    streams(stream("好", finish=True))
    await stage.settled(**USER)

    assert [push["result"] for push in pushes if push["result"] == "dropped"] == ["dropped"]


async def test_one_more_message_can_be_sent_to_its_address(stage, streams):
    streams(stream("好", finish=True))
    await stage.say(**USER)
    await stage.settled(**USER)
    url = stage.bot.received[0].secret["response_url"]
    markdown = {"msgtype": "markdown", "markdown": {"content": "**补充**"}}

    codes = [(await stage.http.post(url, json=markdown)).json()["errcode"] for _ in range(2)]
    entry = (await stage.transcript(**USER))[-1]
    calls = await stage.control("GET", "/calls", params={"account": "robot"})

    assert codes == [call["errcode"] for call in calls] == [0, 40163]
    assert (entry["text"], entry["via"]) == ("**补充**", "webhook")


@pytest.mark.parametrize(
    ("body", "errcode"),
    [
        ({"msgtype": "text", "text": {"content": "x"}}, 40008),
        ({"msgtype": "markdown", "markdown": {"content": ""}}, 44004),
        ({"msgtype": "markdown", "markdown": {"content": "字" * 6827}}, 45002),
    ],
)
async def test_a_wrong_later_message_does_not_spend_the_address(stage, streams, body, errcode):
    streams(stream("好", finish=True))
    await stage.say(**USER)
    await stage.settled(**USER)
    url = stage.bot.received[0].secret["response_url"]
    right = {"msgtype": "markdown", "markdown": {"content": "x"}}

    wrong = (await stage.http.post(url, json=body)).json()["errcode"]

    assert wrong == errcode
    assert (await stage.http.post(url, json=right)).json()["errcode"] == 0


async def test_a_picture_is_fetched_encrypted_within_five_minutes(stage, streams):
    streams(stream("好看", finish=True))
    await stage.driver.picture("robot", "zhangsan")
    await stage.settled(**USER)
    url = stage.bot.received[0].secret["image"]["url"]
    there = await stage.http.get(url)
    await stage.driver.advance(300)
    gone = await stage.http.get(url)

    assert opener(KEY)(there.content).startswith(b"\xff\xd8\xff")
    assert gone.status_code == 404


async def test_a_voice_comes_as_text(stage, streams):
    streams(stream("好", finish=True))
    await stage.say("转写好的话", kind="voice", **USER)
    await stage.settled(**USER)

    assert stage.bot.received[0].secret["voice"] == {"content": "转写好的话"}


async def test_a_quoted_message_comes_along(stage, streams):
    streams(stream("好", finish=True))
    quote = {"msgtype": "text", "text": {"content": "从前"}}
    await stage.say("这句什么意思", quote=quote, **USER)
    await stage.settled(**USER)
    pushed = stage.bot.received[0].secret

    assert (pushed["quote"], pushed["text"]) == (quote, {"content": "这句什么意思"})


async def test_pictures_and_text_may_be_mixed(stage, streams):
    streams(stream("好", finish=True))
    items = [{"msgtype": "text", "text": {"content": "看"}}]
    await stage.say(kind="mixed", msg_item=items, **USER)
    await stage.settled(**USER)

    assert stage.bot.received[0].secret["mixed"] == {"msg_item": items}


async def test_in_a_group_the_chat_is_named(stage, streams):
    streams(stream("好", finish=True))
    await stage.say("@小鹊 在吗", chatid="room", **USER)
    await stage.settled(**USER)
    pushed = stage.bot.received[0].secret

    assert (pushed["chattype"], pushed["chatid"]) == ("group", "room")


async def test_entering_the_chat_may_be_answered_with_a_welcome(stage, bot_answer):
    async def script(push):
        return bot_answer(push, {"msgtype": "text", "text": {"content": "欢迎"}})

    stage.bot.script = script
    await stage.driver.happen("robot", "zhangsan", "enter_chat")
    entries = await stage.settled(**USER)
    pushed = stage.bot.received[0].secret

    assert pushed["event"] == {"eventtype": "enter_chat"}
    assert pushed["create_time"] > 0
    assert entries[-1]["text"] == "欢迎"


async def test_a_card_event_is_delivered_once(stage):
    await stage.control("PUT", "/callbacks", json={"account": "robot", "urls": []})
    await stage.driver.happen("robot", "zhangsan", "template_card_event", task_id="T1")
    await stage.settled(**USER)
    [push] = await stage.pushes(**USER)

    assert len(push["deliveries"]) == 1


async def test_the_address_is_verified_for_nobody_in_particular(stage):
    [result] = await stage.control("POST", "/verify", json={"account": "robot"})

    assert result["ok"]
