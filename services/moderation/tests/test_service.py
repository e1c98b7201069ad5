import logging

import pytest
from queqiao_common.events import (
    Card,
    Media,
    MediaReady,
    MediaWanted,
    Menu,
    MenuItem,
    ScreenedMessage,
    Usage,
    Verdict,
    encode,
)
from queqiao_common.settings import Moderation as Settings
from queqiao_common.testing import (
    ACCOUNT,
    CONV,
    NOW_MS,
    TURN,
    MemoryDocuments,
    inbound,
    published,
    received,
    segment,
)
from queqiao_common.worker import Buried
from queqiao_moderation.limits import Pace
from queqiao_moderation.policy import Policy, ScreeningList
from queqiao_moderation.service import Moderation
from queqiao_moderation.words import Words

POLICY = Policy(
    [
        ScreeningList("ban", "block", ("in", "out"), Words(["赌博"])),
        ScreeningList("ads", "mask", ("in", "out"), Words(["加微信"])),
    ]
)
SETTINGS = Settings()


def moderation(paces=None, **settings):
    return Moderation(
        settings=Settings(**settings), policy=lambda: POLICY, paces=paces or MemoryDocuments[Pace]()
    )


async def screened(service, message, sequence=7) -> ScreenedMessage:
    [event] = await published(service.screen(received(message, sequence=sequence)))
    return event


async def test_a_harmless_message_passes_with_its_place_in_the_stream():
    """The conversation absorbs by the sequence of the inbound message, not of the verdict."""
    message = inbound("你好")

    result = await screened(moderation(), message, sequence=7)

    assert result == ScreenedMessage(
        id=f"scr:{message.id}:7",
        account=ACCOUNT,
        conv=CONV,
        sequence=7,
        verdict=Verdict.PASS,
        message=message,
        text="你好",
    )


async def test_a_redelivery_repeats_its_ids_and_a_replay_has_its_own():
    """A verdict that the stream takes for a repeat is one that its conversation waits for."""
    for message in (inbound("你好"), with_media(PICTURE)):
        first, again, replayed = [
            await published(moderation().screen(received(message, sequence=sequence)))
            for sequence in (7, 7, 9)
        ]

        assert first[0].id == again[0].id != replayed[0].id


async def test_a_burial_and_the_replay_after_it_speak_of_two_messages():
    body = encode(inbound("你好"))
    buried = Buried("chat.inbound.main.c", body, sequence=7, reason="why")

    [failed] = await published(moderation().bury_message(buried))

    assert (await screened(moderation(), inbound("你好"), sequence=9)).id != failed.id
    assert (await screened(moderation(), inbound("你好"), sequence=7)).id == failed.id


async def test_a_masked_message_is_passed_on_masked():
    result = await screened(moderation(), inbound("请加 微 信"))

    assert (result.verdict, result.text) == (Verdict.MASKED, "请*****")


async def test_a_blocked_message_carries_the_reply_instead_of_its_text():
    result = await screened(moderation(), inbound("一起赌博"))

    assert (result.verdict, result.text) == (Verdict.BLOCKED, SETTINGS.blocked_input)


async def test_a_platform_event_is_neither_screened_nor_counted():
    service = moderation(messages_per_minute=1)
    event = inbound("赌博", kind="platform_event", platform_event="subscribe")

    results = [await screened(service, event, sequence=number) for number in range(3)]

    assert {result.verdict for result in results} == {Verdict.PASS}


async def test_a_user_who_writes_too_fast_is_told_so():
    service = moderation(messages_per_minute=3)

    results = [await screened(service, inbound(), sequence=number) for number in range(5)]

    verdicts = [result.verdict for result in results]
    assert verdicts == [Verdict.PASS] * 3 + [Verdict.THROTTLED] * 2
    assert results[-1].text == SETTINGS.throttled


async def test_the_limit_is_of_one_user_and_of_one_minute():
    service = moderation(messages_per_minute=1)
    other = inbound(conv="c_" + "b" * 26)
    later = inbound(received_ms=NOW_MS + 60_000)

    results = [
        await screened(service, message, sequence=number)
        for number, message in enumerate([inbound(), other, later])
    ]

    assert {result.verdict for result in results} == {Verdict.PASS}


async def test_a_redelivered_message_gets_the_same_verdict():
    """Else a crash after publishing would turn an answer into a reproach, or the reverse."""
    service = moderation(messages_per_minute=1)

    first = await screened(service, inbound(), sequence=1)
    again = await screened(service, inbound(), sequence=1)

    assert first == again


async def test_two_replicas_share_the_limit():
    """Whoever is limited by each replica alone writes twice as much through two."""
    paces = MemoryDocuments[Pace]()
    replicas = [moderation(paces, messages_per_minute=8) for _ in range(2)]

    results = [
        await screened(replicas[number % 2], inbound(received_ms=NOW_MS + number), sequence=number)
        for number in range(40)
    ]

    passed = sum(result.verdict is Verdict.PASS for result in results)
    assert 8 <= passed <= 10


async def test_ordinary_users_cost_no_write_to_the_broker():
    paces = MemoryDocuments[Pace]()
    service = moderation(paces, messages_per_minute=30)

    for number in range(7):
        await screened(service, inbound(), sequence=number)

    assert paces.documents == {}


async def test_no_limit_means_no_limit():
    service = moderation(messages_per_minute=0)

    results = [await screened(service, inbound(), sequence=number) for number in range(50)]

    assert {result.verdict for result in results} == {Verdict.PASS}


@pytest.mark.parametrize(
    ("text", "verdict", "said"),
    [
        ("好的", Verdict.PASS, "好的"),
        ("请加微信", Verdict.MASKED, "请***"),
        ("来赌博", Verdict.BLOCKED, SETTINGS.blocked_output),
    ],
)
async def test_a_piece_keeps_its_place_whatever_the_verdict(text, verdict, said):
    """A piece without a verdict, or with another number, would halt the turn."""
    piece = segment(text, number=3, attempt=101, final=True, model="main")

    [result] = await published(moderation().screen_draft(received(piece)))

    assert (result.verdict, result.text) == (verdict, said)
    assert result.id == f"scr:{piece.id}"
    assert (result.number, result.attempt, result.final) == (3, 101, True)
    assert (result.turn_id, result.model) == (TURN, "main")


async def test_a_failed_piece_stays_failed():
    piece = segment("", final=True, failed=True)

    [result] = await published(moderation().screen_draft(received(piece)))

    assert result.failed
    assert result.final


async def test_a_buried_message_does_not_keep_its_conversation_waiting():
    message = inbound()
    subject = f"chat.inbound.{ACCOUNT}.{CONV}"

    [known] = await published(moderation().bury_message(Buried(subject, encode(message), 5, "x")))
    [unknown] = await published(moderation().bury_message(Buried(subject, b"junk", 6, "x")))

    assert (known.verdict, known.sequence, known.message) == (Verdict.FAILED, 5, message)
    assert (unknown.verdict, unknown.sequence, unknown.message) == (Verdict.FAILED, 6, None)
    assert (unknown.account, unknown.conv) == (ACCOUNT, CONV)
    assert unknown.id != known.id


async def test_a_buried_piece_fails_its_turn():
    body = encode(segment(number=2, attempt=3)).replace(b'"text"', b'"txet"')

    [result] = await published(moderation().bury_draft(Buried("reply.draft.main", body, 1, "x")))

    assert (result.verdict, result.failed, result.final) == (Verdict.FAILED, True, True)
    assert (result.turn_id, result.attempt, result.text) == (TURN, 3, "")


async def test_a_buried_piece_of_nobody_is_left_to_the_operators():
    buried = Buried("reply.draft.main", b'{"event":"ReplySegment"}', 1, "x")

    assert await published(moderation().bury_draft(buried)) == []


async def test_a_hit_is_logged_without_its_text(caplog):
    with caplog.at_level(logging.INFO):
        await screened(moderation(), inbound("秘密 赌博 秘密"))

    [record] = [one for one in caplog.records if one.message == "text.hit"]
    assert record.words == ["ban[0]"]
    assert not any("秘密" in str(value) for value in record.__dict__.values())


async def test_a_second_opinion_refuses_what_the_lists_let_pass_in_both_directions():
    asked = []

    async def refuses(text, direction):
        asked.append((text, direction))
        return "坏" in text

    service = Moderation(
        settings=SETTINGS,
        policy=lambda: POLICY,
        paces=MemoryDocuments[Pace](),
        refuses=refuses,
    )

    refused = await screened(service, inbound("一句坏话"))
    banned = await screened(service, inbound("赌博", msgid="m_2"))
    fine = await screened(service, inbound("好话", msgid="m_3"))
    [piece] = await published(service.screen_draft(received(segment("坏答案"))))

    assert (refused.verdict, refused.text) == (Verdict.BLOCKED, SETTINGS.blocked_input)
    assert banned.verdict is Verdict.BLOCKED
    assert (fine.verdict, fine.text) == (Verdict.PASS, "好话")
    assert (piece.verdict, piece.text) == (Verdict.BLOCKED, SETTINGS.blocked_output)
    assert asked == [("一句坏话", "in"), ("好话", "in"), ("坏答案", "out")]


# -- media ----------------------------------------------------------------------------------

PICTURE = Media(kind="image", media_id="x")
VOICE = Media(kind="voice", media_id="y")


def with_media(*media, text=""):
    return inbound(text, kind="unsupported", msg_type=media[0].kind, media=media)


def ready(message, sequence=7):
    return MediaReady(
        id=f"ready:{message.id}",
        account=ACCOUNT,
        conv=CONV,
        sequence=sequence,
        message=message,
    )


@pytest.mark.parametrize("media", [PICTURE, VOICE])
async def test_pictures_and_voice_are_fetched_before_they_are_judged(media):
    message = with_media(media)

    wanted = await screened(moderation(), message, sequence=7)

    assert wanted == MediaWanted(
        id=f"media:{message.id}:7", account=ACCOUNT, conv=CONV, sequence=7, message=message
    )


async def test_media_that_nobody_fetches_go_on_as_what_is_not_served():
    off = Moderation(
        settings=SETTINGS,
        policy=lambda: POLICY,
        paces=MemoryDocuments[Pace](),
        fetches_media=False,
    )

    for service, media in ((off, PICTURE), (moderation(), Media(kind="video"))):
        result = await screened(service, with_media(media))
        assert (result.verdict, result.text) == (Verdict.PASS, "")


async def test_media_count_towards_the_limit():
    service = moderation(messages_per_minute=1)
    await screened(service, with_media(PICTURE), sequence=1)

    result = await screened(service, with_media(PICTURE), sequence=2)

    assert result.verdict is Verdict.THROTTLED


async def test_what_was_heard_is_judged_in_the_place_of_the_message():
    message = with_media(Media(kind="voice", key="main/v", text="请加微信"))

    [result] = await published(moderation().screen_media(received(ready(message), sequence=99)))

    assert result == ScreenedMessage(
        id=f"scr:{message.id}:7",
        account=ACCOUNT,
        conv=CONV,
        sequence=7,
        verdict=Verdict.MASKED,
        message=message,
        text="请***",
    )


async def test_words_beside_a_voice_are_judged_with_it():
    message = with_media(Media(kind="voice", text="赌博"), text="听听")

    [result] = await published(moderation().screen_media(received(ready(message))))

    assert (result.verdict, result.text) == (Verdict.BLOCKED, SETTINGS.blocked_input)


async def test_media_in_trouble_go_on_for_the_conversation_to_say_so():
    message = with_media(Media(kind="image", trouble="gone"))

    [result] = await published(moderation().screen_media(received(ready(message))))

    assert (result.verdict, result.message.media[0].trouble) == (Verdict.PASS, "gone")


async def test_buried_media_do_not_keep_their_conversation_waiting():
    event = ready(with_media(PICTURE))
    subject = f"media.ready.{ACCOUNT}"
    broken = encode(event).replace(b'"msgid"', b'"msgdi"')

    service = moderation()
    [known] = await published(service.bury_media(Buried(subject, encode(event), 5, "x")))
    [unknown] = await published(service.bury_media(Buried(subject, broken, 6, "x")))
    nobody = await published(service.bury_media(Buried(subject, b"junk", 7, "x")))

    assert (known.verdict, known.sequence, known.message) == (Verdict.FAILED, 7, event.message)
    assert (unknown.verdict, unknown.sequence, unknown.message) == (Verdict.FAILED, 7, None)
    assert nobody == []


# -- what a model writes beside the text ----------------------------------------------------

MENU = Menu(head="选一个", items=(MenuItem("a", "退款"), MenuItem("b", "发货")))


async def judged(**fields):
    [result] = await published(moderation().screen_draft(received(segment(**fields))))
    return result


async def test_what_is_new_of_a_piece_is_passed_through():
    usage = Usage(input_tokens=3, output_tokens=5)
    fields = {
        "menu": MENU,
        "cards": (Card(title="卡", url="https://x"),),
        "media": (Media(kind="voice", key="k"),),
        "notes": ("喜欢猫",),
        "usage": usage,
        "notice": True,
        "handover": True,
        "final": True,
    }

    result = await judged(**fields)

    assert result.verdict is Verdict.PASS
    assert {name: getattr(result, name) for name in fields} == fields


async def test_a_voice_does_not_say_what_was_masked():
    result = await judged(text="加微信", media=(Media(kind="voice", key="k", text="加微信"),))

    assert (result.verdict, result.text, result.media) == (Verdict.MASKED, "***", ())


@pytest.mark.parametrize(
    "fields",
    [
        {"menu": Menu(head="选", items=(MenuItem("a", "赌博"),))},
        {"menu": Menu(head="赌博", items=())},
        {"cards": (Card(title="好的", description="赌博"),)},
        {"cards": (Card(title="赌博"),)},
    ],
)
async def test_menus_and_cards_are_judged_like_the_text(fields):
    result = await judged(text="好的", notes=("喜欢猫",), **fields)

    assert (result.verdict, result.text) == (Verdict.BLOCKED, SETTINGS.blocked_output)
    assert (result.menu, result.cards, result.notes) == (None, (), ())


async def test_a_masked_menu_is_shown_masked():
    result = await judged(menu=Menu(head="选", items=(MenuItem("a", "加微信"),)))

    assert result.verdict is Verdict.MASKED
    assert result.menu.items == (MenuItem("a", "***"),)


async def test_a_note_with_a_hit_is_left_out():
    """It would be said to the user when they ask for it, and to the model with every question."""
    result = await judged(text="好的", notes=("喜欢猫", "喜欢赌博"))

    assert (result.verdict, result.notes) == (Verdict.PASS, ("喜欢猫",))
