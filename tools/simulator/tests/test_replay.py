"""Recording pushes, and playing them again at any speed."""

import json

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_simulator.recording import Recorded
from queqiao_simulator.replay import act_of, parse, pauses, play, replay, to_callback


def recorded(at=0.0, **more):
    return Recorded(
        **({"at": at, "account": "main", "user": "小鹊", "openid": "o", "kind": "text"} | more)
    )


@given(st.lists(st.floats(0, 1e6), max_size=20).map(sorted), st.floats(0.1, 100))
def test_the_pauses_are_those_of_the_recording(times, speed):
    found = pauses([recorded(at) for at in times], speed)

    assert len(found) == len(times)
    assert all(pause >= 0 for pause in found)
    assert sum(found) * speed == pytest.approx(times[-1] - times[0] if times else 0, abs=1e-3)


def test_speed_zero_does_not_wait():
    assert pauses([recorded(0), recorded(60)], 0) == [0.0, 0.0]


def test_time_does_not_run_back():
    with pytest.raises(ValueError, match="negative"):
        pauses([recorded()], -1)


async def test_each_push_is_posted_when_it_is_due():
    slept, posted = [], []

    async def sleep(seconds):
        slept.append(seconds)

    async def post(push):
        posted.append(push.at)
        return push.at < 20

    summary = await play([recorded(0), recorded(10), recorded(30)], post, speed=2, sleep=sleep)

    assert (slept, posted) == ([5.0, 10.0], [0, 10, 30])
    assert (summary.played, summary.failed, summary.seconds) == (2, 1, 15.0)


async def test_who_cannot_be_reached_is_counted():
    async def post(_):
        raise httpx.ConnectError("nobody")

    assert (await play([recorded()], post)).failed == 1


def test_a_broken_line_is_named():
    with pytest.raises(ValueError, match="line 3"):
        parse([b'{"at":1,"account":"a","user":"u","openid":"o","kind":"text"}\n', b"\n", b"{\n"])


@pytest.mark.parametrize(
    ("fields", "path", "said"),
    [
        (
            {"MsgType": "text", "Content": "你好", "MsgId": 5, "CreateTime": 1},
            "/control/messages",
            {"kind": "text", "text": "你好"},
        ),
        (
            {"MsgType": "event", "Event": "CLICK", "EventKey": "HELP"},
            "/control/events",
            {"event": "CLICK", "event_key": "HELP"},
        ),
        (
            {"MsgType": "location", "Label": "西湖"},
            "/control/messages",
            {"kind": "location", "Label": "西湖"},
        ),
        (
            {"MsgType": "image", "PicUrl": "http://gone", "MediaId": "gone"},
            "/control/messages",
            {"kind": "image"},
        ),
        (
            {"msgtype": "text", "text": {"content": "在吗"}, "chatid": "room"},
            "/control/messages",
            {"kind": "text", "text": "在吗", "chatid": "room"},
        ),
        (
            {"msgtype": "event", "event": {"eventtype": "enter_chat"}},
            "/control/events",
            {"event": "enter_chat"},
        ),
    ],
)
def test_a_push_is_done_again_by_its_user(fields, path, said):
    assert act_of(recorded(fields=fields)) == (path, {"account": "main", "user": "小鹊", **said})


async def test_a_recording_is_played_by_the_simulator_itself(stage):
    await stage.control("POST", "/recording", json={"on": True})
    await stage.say("一")
    await stage.say("二", account="desk")
    await stage.driver.happen("main", "小鹊", "CLICK", event_key="HELP")
    await stage.settled()
    stopped = await stage.control("POST", "/recording", json={"on": False})
    first = [push.fields.get("MsgId") for push in stage.bot.received]
    stage.bot.received.clear()

    summary = await stage.control("POST", "/replay", json={"speed": 0})
    await stage.settled()
    texts = [entry["text"] for entry in await stage.transcript()]

    assert stopped == {"on": False, "lines": 3}
    assert (summary["played"], summary["failed"]) == (3, 0)
    assert texts == ["一", "CLICK HELP"] * 2
    assert [entry["text"] for entry in await stage.transcript(account="desk")] == ["二", "二"]
    assert len(stage.bot.received) == 3
    again = [push.fields.get("MsgId") for push in stage.bot.received]
    assert set(first) & set(again) == {None}


async def test_a_downloaded_recording_is_replayed_from_a_file(stage, tmp_path):
    await stage.control("POST", "/recording", json={"on": True})
    await stage.say("再来")
    await stage.settled()
    lines = await stage.control("GET", "/recording")
    file = tmp_path / "pushes.jsonl"
    file.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    [first] = stage.bot.received
    stage.bot.received.clear()

    through = await replay(file, speed=0, to=stage.url)
    await stage.settled()
    exact = await replay(file, speed=0, to=stage.bot.url, exactly=True)

    anew, same = stage.bot.received
    assert (through.played, exact.played) == (1, 1)
    assert anew.fields["Content"] == "再来"
    assert anew.fields["MsgId"] != first.fields["MsgId"]
    assert same.body == first.body


async def test_a_bot_that_refuses_is_counted(stage):
    async with httpx.AsyncClient() as http:
        post = to_callback(http, f"{stage.bot.url}/nowhere")

        assert not await post(recorded(body="x"))
