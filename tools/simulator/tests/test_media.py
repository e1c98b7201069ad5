"""Temporary material: limits, three days, and what chats show of it (protocol reference 7)."""

import pytest
from fastapi import Response
from queqiao_simulator.media import MediaStore, checked
from queqiao_simulator.pictures import amr, amr_seconds, jpeg, mp4
from queqiao_simulator.refusals import Refused
from queqiao_simulator.rules import MediaRules
from queqiao_wechat.speex import frames

NOW = 1_767_225_600.0
DAY = 86400.0


def test_a_file_lives_three_days():
    store = MediaStore(MediaRules())
    kept = store.add("image", jpeg("a"), NOW)

    assert store.find(kept.id, NOW + 3 * DAY - 1) == kept
    assert store.find(kept.id, NOW + 3 * DAY) is None


def test_the_oldest_file_goes_when_there_is_no_room():
    store = MediaStore(MediaRules(kept=1))
    old, new = (store.add("image", jpeg("a"), NOW) for _ in range(2))

    assert store.find(old.id, NOW) is None
    assert store.find(new.id, NOW) == new


def test_a_voice_is_no_picture_but_a_thumb_is():
    store = MediaStore(MediaRules())
    voice, thumb = store.add("voice", amr("a"), NOW), store.add("thumb", jpeg("a"), NOW)

    assert not store.has(voice.id, "image", NOW)
    assert store.has(thumb.id, "image", NOW)


@pytest.mark.parametrize(
    ("kind", "body", "account", "errcode"),
    [
        ("image", jpeg("a"), "service", 0),
        ("image", b"\x89PNG\r\n\x1a\n", "service", 0),
        ("voice", amr("a"), "service", 0),
        ("voice", b"ID3", "service", 0),
        ("video", mp4("a"), "service", 0),
        ("file", b"anything", "wecom", 0),
        ("file", b"anything", "service", 40004),
        ("voice", amr("a"), "miniprogram", 40004),
        ("image", amr("a"), "service", 40005),
        ("voice", b"ID3", "wecom", 40005),
        ("thumb", jpeg("a") + bytes(64 << 10), "service", 40012),
        ("image", jpeg("a") + bytes(10 << 20), "service", 40009),
        ("image", jpeg("a") + bytes(10 << 20), "wecom", 45001),
        ("voice", amr("a", 61), "service", 45007),
        ("image", b"", "service", 41005),
    ],
)
def test_uploads_are_checked(kind, body, account, errcode):
    if not errcode:
        checked(kind, body, MediaRules(), account)
        return
    with pytest.raises(Refused) as caught:
        checked(kind, body, MediaRules(), account)
    assert caught.value.errcode == errcode


async def upload(stage, token, body, kind="image", name="a.jpg"):
    files = {"media": (name, body, "application/octet-stream")}
    params = {"access_token": token, "type": kind}
    return (await stage.http.post("/cgi-bin/media/upload", params=params, files=files)).json()


async def download(stage, token, media_id, path="/cgi-bin/media/get"):
    return await stage.http.get(path, params={"access_token": token, "media_id": media_id})


async def test_what_was_uploaded_can_be_fetched_until_it_expires(stage):
    token = await stage.token()
    kept = await upload(stage, token, jpeg("a"))
    there = await download(stage, token, kept["media_id"])
    await stage.driver.advance(3 * DAY)
    token = await stage.token()
    gone = await download(stage, token, kept["media_id"])

    assert kept["type"] == "image"
    assert there.content == jpeg("a")
    assert there.headers["content-type"] == "image/jpeg"
    assert gone.json()["errcode"] == 40007
    assert gone.headers["content-type"].startswith("application/json")


async def test_an_upload_without_a_file_is_refused(stage):
    token = await stage.token()
    params = {"access_token": token, "type": "image"}

    answer = await stage.http.post("/cgi-bin/media/upload", params=params, content=b"raw")

    assert answer.json()["errcode"] == 41005


async def test_a_picture_that_is_too_large_is_refused(stage):
    large = jpeg("a") + bytes(10 << 20)

    assert (await upload(stage, await stage.token(), large))["errcode"] == 40009


async def test_an_unverified_account_cannot_upload(stage):
    assert (await upload(stage, await stage.token("paper"), jpeg("a")))["errcode"] == 48001


async def test_a_picture_of_a_user_is_a_real_one_at_two_addresses(stage):
    await stage.driver.picture("main", "小鹊")
    [entry] = await stage.settled()
    fields = stage.bot.received[0].fields
    by_address = await stage.http.get(fields["PicUrl"])
    by_id = await download(stage, await stage.token(), fields["MediaId"])

    assert by_address.content == by_id.content
    assert by_address.content.startswith(b"\xff\xd8\xff")
    assert by_address.headers["content-type"] == "image/jpeg"
    assert fields["PicUrl"].startswith(stage.url)
    assert entry["text"] == "[图片]"
    assert fields["PicUrl"].endswith(entry["content"]["media"]["path"])


async def test_a_user_may_send_a_given_file(stage):
    await stage.driver.picture("main", "小鹊", b"\x89PNG\r\n\x1a\nmine")
    await stage.settled()
    fields = stage.bot.received[0].fields

    assert (await stage.http.get(fields["PicUrl"])).content == b"\x89PNG\r\n\x1a\nmine"


async def test_a_voice_comes_at_two_rates_and_without_a_transcript(stage):
    await stage.driver.voice("main", "小鹊", seconds=3)
    await stage.settled()
    fields, token = stage.bot.received[0].fields, await stage.token()
    narrow = await download(stage, token, fields["MediaId"])
    wide = await download(stage, token, fields["MediaId16K"])
    for_page = await download(stage, token, fields["MediaId16K"], "/cgi-bin/media/get/jssdk")

    assert narrow.content.startswith(b"#!AMR\n")
    assert len(frames(wide.content)) == 150
    assert for_page.content == wide.content
    assert amr_seconds(narrow.content) == 3.0
    assert fields["Recognition"] == ""


async def test_a_video_is_told_by_its_address(stage):
    await stage.say(kind="video")
    await stage.settled()
    fields = stage.bot.received[0].fields
    answer = await download(stage, await stage.token(), fields["MediaId"])

    assert sorted(answer.json()) == ["video_url"]
    assert (await stage.http.get(answer.json()["video_url"])).content[4:8] == b"ftyp"


async def test_a_picture_can_be_sent_and_only_while_it_exists(stage):
    said, token = await stage.say(), await stage.token()
    kept = await upload(stage, token, jpeg("a"))
    body = {"touser": said["openid"], "msgtype": "image", "image": {"media_id": kept["media_id"]}}
    unknown = body | {"image": {"media_id": "nowhere"}}

    sent = await stage.api("/cgi-bin/message/custom/send", token, body)
    refused = await stage.api("/cgi-bin/message/custom/send", token, unknown)
    entry = (await stage.transcript())[-1]

    assert (sent["errcode"], refused["errcode"]) == (0, 40007)
    assert entry["text"] == "[图片]"
    assert (await stage.http.get(entry["content"]["media"]["path"])).content == jpeg("a")


async def test_a_passive_reply_may_be_a_picture_that_exists(stage, passive_reply):
    kept = await upload(stage, await stage.token(), jpeg("a"))
    wanted = [kept["media_id"], "nowhere"]

    async def script(push):
        image = f"<Image><MediaId>{wanted.pop(0)}</MediaId></Image></xml>".encode()
        reply = passive_reply(push.fields, "", MsgType="image")
        return Response(reply.removesuffix(b"</xml>") + image)

    stage.bot.script = script
    await stage.say("看图")
    await stage.settled()
    await stage.say("再来")
    entries = await stage.settled()

    assert entries[1]["content"]["media"]["kind"] == "image"
    assert entries[-1]["who"] == "platform"


async def test_a_file_that_is_not_base64_is_refused(stage):
    body = {"account": "main", "user": "小鹊", "kind": "image", "file": "???"}

    answer = await stage.http.post("/control/messages", json=body)

    assert answer.status_code == 400
