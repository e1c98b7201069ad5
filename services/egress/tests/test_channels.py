"""Each kind of account, through the whole service: what reaches its API, and when."""

import json

import httpx
import pytest
from queqiao_common.errors import TransientError
from queqiao_common.events import Card, Media, Menu, MenuItem
from queqiao_common.settings import Account, Config, Handover, Pages, Secret
from queqiao_common.settings import Delivery as Settings
from queqiao_common.testing import (
    ACCOUNT,
    NOW_MS,
    TURN,
    MemoryDocuments,
    delivery,
    waiting,
)
from queqiao_egress.channels.building import Builder
from queqiao_egress.pages import Attachment, labelled
from queqiao_wechat.client import AmbiguousError, ApiError, UnreachableError
from queqiao_wechat.errcodes import lookup
from queqiao_wechat.text import size

API = "https://api.sim.local"
KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
LONG = "\n\n".join(f"第{n}段。" + "桥" * 300 for n in range(4))
TOKEN = {"access_token": "T", "expires_in": 7200}
MENU = Menu(head="请选择", items=(MenuItem("1", "退款"), MenuItem("2", "发票")), tail="谢谢")


class Platform:
    """An API that remembers what it was asked; `answers` come first, by path."""

    def __init__(self):
        self.calls = []
        self.answers = {}
        self.http = httpx.AsyncClient(transport=httpx.MockTransport(self.answer))

    def answer(self, request):
        path = request.url.path
        if path in ("/cgi-bin/gettoken", "/cgi-bin/stable_token"):
            return httpx.Response(200, json=TOKEN)
        is_json = request.headers["Content-Type"] == "application/json"
        self.calls.append((path, json.loads(request.content) if is_json else {}))
        answers = self.answers.get(path, [])
        answer = answers.pop(0) if answers else {"errcode": 0, "media_id": "M1"}
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(200, json=answer)

    def at(self, path):
        return [payload for called, payload in self.calls if called == path]


@pytest.fixture
def platform():
    return Platform()


@pytest.fixture
def at_home(world, platform):
    """A world whose account is of a kind, with the platform behind it."""

    def make(kind, *, mode="", settings=None, **fields):
        settings = settings or Settings()
        account = Account(
            id=ACCOUNT, kind=kind, appid="ww1", token=Secret("t"), secret=Secret("s"),
            aes_key=Secret(KEY), agent_id=7, delivery=mode, api_base=API, **fields,
        )  # fmt: skip

        def channel(made):
            config = Config(accounts=(account,), delivery=settings)
            builder = Builder(
                config, platform.http, tokens=MemoryDocuments(), owner="one",
                now_ms=lambda: made.now_ms,
            )  # fmt: skip
            return builder.channels((account,))[ACCOUNT]

        made = world(mode=account.mode, kind=kind, settings=settings, channel=channel)
        made.account = account
        made.another("one")
        made.first = made.processes[-1]
        return made

    return make


# -- WeCom -------------------------------------------------------------------------------------

SEND = "/cgi-bin/message/send"


async def test_an_app_answers_in_time_and_else_by_its_api(at_home, platform):
    wecom = at_home("wecom")

    await wecom.deliver(delivery("你好"))
    wecom.now_ms = NOW_MS + 9000
    await wecom.deliver(delivery("再见", id=f"{TURN}.2", ai=True))

    assert wecom.answered == ["你好"]
    [call] = platform.at(SEND)
    assert call == {
        "touser": "oUSER", "agentid": 7, "msgtype": "text",
        "text": {"content": "再见\n（AI 生成）"},
    }  # fmt: skip


async def test_nothing_is_ever_long_enough_to_be_cut_silently(at_home, platform):
    wecom = at_home("wecom", mode="active")

    await wecom.deliver(delivery(LONG * 4))

    texts = [call["text"]["content"] for call in platform.at(SEND)]
    assert all(size(text) <= 2048 for text in texts)
    assert "".join("".join(texts).split()) == "".join((LONG * 4).split())


async def test_the_thirty_first_message_of_a_minute_waits_for_the_next(at_home, platform):
    """WeCom would lose it without a word."""
    wecom = at_home("wecom", mode="active", settings=Settings(max_bytes=200))
    text = "\n\n".join("桥" * 60 for _ in range(35))

    with pytest.raises(TransientError) as caught:
        await wecom.deliver(delivery(text))
    assert len(platform.at(SEND)) == 30
    wecom.now_ms += int(caught.value.after * 1000)
    result = await wecom.deliver(delivery(text), attempt=2)

    assert (result.status, len(platform.at(SEND))) == ("delivered", 35)


async def test_markdown_is_sent_where_the_members_can_see_it(at_home, platform):
    wecom = at_home("wecom", mode="active", markdown=True)

    await wecom.deliver(delivery("**好**"))

    assert platform.at(SEND)[0]["markdown"] == {"content": "**好**"}


async def test_a_member_who_left_is_a_failure_for_good(at_home, platform):
    platform.answers[SEND] = [{"errcode": 0, "invaliduser": "ouser"}]
    wecom = at_home("wecom", mode="active")

    result = await wecom.deliver(delivery("你好"))

    assert (result.status, result.errcode) == ("failed", 81013)


# -- WeChat Customer Service -------------------------------------------------------------------

KF_SEND, GREET = "/cgi-bin/kf/send_msg", "/cgi-bin/kf/send_msg_on_event"
STATE, TRANS = "/cgi-bin/kf/service_state/get", "/cgi-bin/kf/service_state/trans"


async def test_a_customer_is_answered_by_whom_they_wrote_to(at_home, platform):
    kf = at_home("wecom_kf")

    await kf.deliver(delivery("你好", peer="wk1"))

    [call] = platform.at(KF_SEND)
    assert (call["touser"], call["open_kfid"]) == ("oUSER", "wk1")
    assert call["text"] == {"content": "你好"}
    assert len(call["msgid"]) == 32


async def test_a_lost_answer_is_asked_for_again_with_the_same_key(at_home, platform):
    """Nothing is in doubt, whoever sends it again."""
    kf = at_home("wecom_kf")
    platform.answers[KF_SEND] = [httpx.ReadTimeout("lost"), {"errcode": 40058, "errmsg": "msgid"}]
    with pytest.raises(TransientError):
        await kf.deliver(delivery("你好", peer="wk1"))

    kf.now_ms += 15_000
    result = await kf.deliver(delivery("你好", peer="wk1"), attempt=2, process=kf.another())

    first, second = platform.at(KF_SEND)
    assert first == second
    assert (result.status, result.parts, result.errcode) == ("delivered", 1, 0)
    assert not any("may have arrived" in reason for reason in result.reasons)


@pytest.mark.parametrize("first", [httpx.ReadTimeout("lost"), {"errcode": -1, "errmsg": "busy"}])
async def test_a_message_stays_in_doubt_until_wecom_has_answered(at_home, platform, first):
    """Between the lost answer and the repeat WeCom may be out of reach."""
    kf = at_home("wecom_kf")
    used = {"errcode": 40058, "errmsg": "msgid"}
    platform.answers[KF_SEND] = [first, httpx.ConnectError("down"), used]
    for attempt in (1, 2):
        with pytest.raises(TransientError):
            await kf.deliver(delivery("你好", peer="wk1"), attempt=attempt)

    kf.now_ms += 15_000
    result = await kf.deliver(delivery("你好", peer="wk1"), attempt=3, process=kf.another())

    assert (result.status, result.errcode) == ("delivered", 0)
    assert len({call["msgid"] for call in platform.at(KF_SEND)}) == 1


async def test_a_wrong_parameter_is_not_taken_for_a_repeat(at_home, platform):
    kf = at_home("wecom_kf")
    platform.answers[KF_SEND] = [{"errcode": 40058, "errmsg": "menu"}]

    result = await kf.deliver(delivery("你好", peer="wk1"))

    assert (result.status, result.errcode) == ("failed", 40058)


async def test_the_parts_of_an_answer_have_keys_of_their_own(at_home, platform):
    kf = at_home("wecom_kf")

    await kf.deliver(delivery(LONG, peer="wk1"))

    keys = [call["msgid"] for call in platform.at(KF_SEND)]
    assert len(keys) == len(set(keys)) > 1


async def test_who_has_only_come_in_is_greeted_by_the_code_of_the_event(at_home, platform):
    kf = at_home("wecom_kf")
    entered = waiting(trigger="enter", ticket="WELCOME")

    await kf.deliver(delivery("欢迎！", kind="notice", waiting=(entered,)))
    kf.now_ms = NOW_MS + 21_000
    late = await kf.deliver(delivery("欢迎！", id="t.2", kind="notice", waiting=(entered,)))

    [call] = platform.at(GREET)
    assert (call["code"], call["text"]) == ("WELCOME", {"content": "欢迎！"})
    assert (late.status, platform.at(KF_SEND)) == ("parked", [])


async def test_a_customer_is_handed_over_after_the_last_word_and_taken_back(at_home, platform):
    kf = at_home("wecom_kf")
    platform.answers[STATE] = [{"errcode": 0, "service_state": 3}]
    platform.answers[TRANS] = [{"errcode": 0}, {"errcode": 95016}]

    await kf.deliver(delivery("正在转接", kind="notice", transfer=True, peer="wk1"))
    await kf.deliver(delivery("我回来了", id="t.2", kind="notice", back=True, peer="wk1"))

    assert [path for path, _ in platform.calls] == [KF_SEND, TRANS, STATE, TRANS, TRANS, KF_SEND]
    assert [call["service_state"] for call in platform.at(TRANS)] == [2, 1, 4]


async def test_a_conversation_that_a_person_serves_is_left_alone(at_home, platform):
    kf = at_home("wecom_kf")
    platform.answers[KF_SEND] = [{"errcode": 95018, "errmsg": "state"}]

    result = await kf.deliver(delivery("你好", peer="wk1"))

    assert (result.status, result.errcode) == ("failed", 95018)


async def test_a_spent_allowance_keeps_the_rest_for_the_next_message(at_home, platform):
    kf = at_home("wecom_kf")
    platform.answers[KF_SEND] = [{"errcode": 95001, "errmsg": "count"}]

    result = await kf.deliver(delivery("你好", peer="wk1"))

    assert (result.status, result.parked) == ("parked", 1)


async def test_a_menu_is_tapped_where_it_can_be_and_numbered_elsewhere(at_home, platform):
    kf, wecom = at_home("wecom_kf"), at_home("wecom", mode="active")
    asked = delivery("请选择", kind="notice", menu=MENU, peer="wk1")

    await kf.deliver(asked)
    await wecom.deliver(asked)

    assert platform.at(KF_SEND)[0]["msgtype"] == "msgmenu"
    assert platform.at(SEND)[0]["text"]["content"] == "请选择\n1. 退款\n2. 发票\n谢谢"


# -- Mini Programs -----------------------------------------------------------------------------

CUSTOM = "/cgi-bin/message/custom/send"


async def test_a_mini_program_has_two_messages_for_who_enters_and_five_for_who_writes(
    at_home, platform
):
    program = at_home("miniprogram")
    entered = waiting(trigger="enter")

    for number in range(1, 4):
        sent = delivery("欢迎", id=f"t.{number}", kind="notice", waiting=(entered,))
        result = await program.deliver(sent)
    assert (result.status, len(platform.at(CUSTOM))) == ("parked", 2)

    await program.deliver(delivery(LONG * 4, id="u.1", ai=True))
    assert len(platform.at(CUSTOM)) <= 2 + 5
    assert platform.at(CUSTOM)[-1]["aimsgcontext"] == {"is_ai_msg": 1}


async def test_a_mini_program_types_by_an_address_of_its_own(at_home, platform):
    program = at_home("miniprogram")

    await program.channel().typing("oUSER")

    assert platform.calls[0][0] == "/cgi-bin/message/custom/business/typing"


async def test_a_card_is_a_link_or_a_page_of_the_program(at_home, platform):
    program = at_home("miniprogram")
    program.objects.stored["main/p"] = b"\xff\xd8\xff"
    link = Card(title="说明", url="https://a.example", description="详情")
    page = Card(title="下单", appid="wx2", page_path="pages/o", picture_key="main/p")

    await program.deliver(delivery("请看", cards=(link, page)))

    said, linked, paged = platform.at(CUSTOM)
    assert (said["msgtype"], linked["msgtype"]) == ("text", "link")
    assert paged["miniprogrampage"]["thumb_media_id"] == "M1"


# -- AI bots -----------------------------------------------------------------------------------

ASKED = waiting(ticket=f"{API}/cgi-bin/aibot/response?response_code=C")
RESPONSE = "/cgi-bin/aibot/response"


def piece(number, text, **fields):
    return delivery(text, id=f"{TURN}.{number}", ai=True, waiting=(ASKED,), **fields)


async def shown(bot, msgid="m_1"):
    return (await bot.displays.get(f"{ACCOUNT}.{msgid}")).value


async def test_a_bot_shows_more_and_more_of_its_answer(at_home, platform):
    bot = at_home("wecom_bot")

    first = await bot.deliver(piece(1, "第一段。", final=False))
    assert (await shown(bot)).text == "第一段。"
    assert not (await shown(bot)).is_final
    await bot.deliver(piece(2, "**第二段。**"))

    display = await shown(bot)
    assert display.text == "第一段。\n\n**第二段。**\n（AI 生成）"
    assert display.is_final
    assert (first.status, first.via) == ("delivered", "passive")
    assert platform.calls == []


async def test_a_redelivered_piece_is_shown_once(at_home):
    bot = at_home("wecom_bot")
    await bot.deliver(piece(1, "第一段。", final=False))

    again = await bot.deliver(piece(1, "第一段。", final=False), attempt=2, process=bot.another())

    assert (await shown(bot)).text == "第一段。"
    assert again.status == "delivered"


async def test_after_six_minutes_the_rest_goes_out_once_and_together(at_home, platform):
    bot = at_home("wecom_bot")
    await bot.deliver(piece(1, "第一段。", final=False))
    bot.now_ms = NOW_MS + 360_000

    parked = await bot.deliver(piece(2, "第二段。", final=False))
    last = await bot.deliver(piece(3, "第三段。"))

    assert parked.status == "parked"
    assert (last.status, last.via) == ("delivered", "api")
    [call] = platform.at(RESPONSE)
    assert call["markdown"]["content"] == "第二段。\n\n第三段。\n（AI 生成）"


async def test_when_nobody_asks_any_more_the_rest_is_sent(at_home, platform):
    bot = at_home("wecom_bot")
    await bot.deliver(piece(1, "第一段。", final=False))
    bot.now_ms += 30_000

    await bot.deliver(piece(2, "第二段。"))

    assert platform.at(RESPONSE)[0]["markdown"]["content"] == "第二段。\n（AI 生成）"


async def test_a_lost_answer_of_a_response_address_is_in_no_doubt(at_home, platform):
    """It works once: a repeat that is refused for that has been shown."""
    bot = at_home("wecom_bot")
    bot.now_ms = NOW_MS + 360_000
    platform.answers[RESPONSE] = [httpx.ReadTimeout("lost"), {"errcode": 40163, "errmsg": "used"}]
    with pytest.raises(TransientError):
        await bot.deliver(piece(1, "好"))

    result = await bot.deliver(piece(1, "好"), attempt=2)

    assert (result.status, result.errcode) == ("delivered", 0)


async def test_an_address_that_is_not_wecoms_is_never_called(at_home, platform):
    bot = at_home("wecom_bot")
    bot.now_ms = NOW_MS + 360_000
    lured = waiting(ticket="https://evil.example/?response_code=C")

    result = await bot.deliver(delivery("你好", waiting=(lured,)))

    assert (result.status, platform.calls) == ("failed", [])


async def test_a_bot_ends_the_streams_of_messages_that_are_answered_with_a_later_one(at_home):
    bot = at_home("wecom_bot")
    both = (waiting("m_0"), ASKED)

    await bot.deliver(delivery("你们好", waiting=both))

    assert (await shown(bot, "m_0")).text == bot.settings.merged
    assert (await shown(bot, "m_0")).is_final
    assert (await shown(bot)).text == "你们好"


async def test_what_the_stream_has_no_room_for_is_sent_by_the_response_address(at_home, platform):
    bot = at_home("wecom_bot")

    await bot.deliver(piece(1, "桥" * 8000))

    display = await shown(bot)
    assert size(display.text) <= 20_480
    rest = platform.at(RESPONSE)[0]["markdown"]["content"]
    assert (display.text + rest).count("桥") == 8000


# -- people ------------------------------------------------------------------------------------


async def test_an_account_without_agents_reports_it_and_says_nothing_untrue(at_home, platform):
    """The conversation then says that nobody is there; a model's own words are said."""
    wecom = at_home("wecom", mode="active")

    asked = await wecom.deliver(delivery("正在转接", kind="notice", transfer=True))
    said = await wecom.deliver(delivery("我请同事来", id="t.2", transfer=True))

    assert (asked.status, said.status) == ("failed", "delivered")
    assert [call["text"]["content"] for call in platform.at(SEND)] == ["我请同事来"]


@pytest.mark.parametrize("kind", ["service", "miniprogram"])
async def test_the_waiting_request_hands_over_after_the_api_has_said_so(at_home, platform, kind):
    account = at_home(kind)

    result = await account.deliver(delivery("正在转接", kind="notice", transfer=True))

    [offer] = account.offers
    assert (offer.form.kind, offer.text) == ("transfer", "")
    assert platform.at(CUSTOM)[0]["text"]["content"] == "正在转接"
    assert (result.status, result.reasons[-1]) == ("delivered", "handed over")


async def test_an_account_that_answers_by_api_hands_over_in_the_callback(active):
    """Its replies never leave in the callback; the hand-over has no other way."""
    result = await active.deliver(delivery("正在转接", kind="notice", transfer=True))

    assert [offer.form.kind for offer in active.offers] == ["transfer"]
    assert active.wechat.shown == [("正在转接", False)]
    assert (result.status, result.unreached) == ("delivered", False)


@pytest.mark.parametrize(
    ("handover", "final", "released"),
    [
        ({"by_model": True}, True, 1),
        ({"failures": 1}, True, 1),
        ({"by_model": True}, False, 0),
        ({}, True, 0),
    ],
)
async def test_a_request_held_for_a_person_is_let_go_with_the_end_of_the_answer(
    world, handover, final, released
):
    """Where any answer may end with a person, every request is held until it is known."""
    active = world(mode="active", handover=Handover(**handover))

    await active.deliver(delivery("答", final=final))

    assert [(offer.text, offer.items, offer.form) for offer in active.offers] == [
        ("", (), None)
    ] * released


async def test_words_of_a_model_that_could_not_hand_over_are_not_taken_for_a_hand_over(world):
    """The conversation then tries it with the user's next message."""
    active = world(mode="active", takes=False)

    result = await active.deliver(delivery("我请同事来", kind="answer", transfer=True))

    assert (result.status, result.unreached) == ("delivered", True)


async def test_a_passive_account_hands_over_instead_of_a_text(passive):
    result = await passive.deliver(delivery("正在转接", kind="notice", transfer=True))

    assert [offer.form.kind for offer in passive.offers] == ["transfer"]
    assert (result.status, result.via, result.parked) == ("delivered", "passive", 0)


async def test_a_hand_over_that_no_request_could_make_is_reported(world):
    """Else the bot would be silent, and no person would know."""
    auto = world(mode="auto", takes=False)

    result = await auto.deliver(delivery("正在转接", kind="notice", transfer=True))

    assert result.status == "failed"
    assert auto.wechat.shown == [("正在转接", False)]


async def test_a_redelivered_hand_over_is_known_to_have_been_made(auto):
    await auto.deliver(delivery("", kind="notice", transfer=True))

    again = await auto.deliver(
        delivery("", kind="notice", transfer=True), attempt=2, process=auto.another()
    )

    assert (again.status, again.via) == ("delivered", "passive")
    assert len(auto.offers) == 1


async def test_an_app_with_passive_delivery_keeps_what_is_late(at_home, platform):
    wecom = at_home("wecom", mode="passive")
    wecom.now_ms = NOW_MS + 20_000

    result = await wecom.deliver(delivery("你好"))

    assert (result.status, platform.calls) == ("parked", [])


async def test_every_message_to_people_is_passed_on(auto):
    silent = delivery("", kind="notice", transfer=True)

    await auto.deliver(silent)

    assert [offer.form.kind for offer in auto.offers] == ["transfer"]
    assert auto.wechat.shown == []


# -- what is more than a text ------------------------------------------------------------------

VOICE = Media(kind="voice", key="main/say/1", mime="audio/amr", text="你好")


async def test_an_answer_is_heard_in_time_as_a_passive_reply(auto):
    auto.objects.stored["main/say/1"] = b"#!AMR\n"

    await auto.deliver(delivery("你好", ai=True, media=(VOICE,)))

    [offer] = auto.offers
    assert (offer.form.kind, offer.form.media_id, offer.text) == ("voice", "media-1", "你好")


async def test_an_answer_is_heard_late_by_the_api_and_uploaded_once(active):
    active.objects.stored["main/say/1"] = b"#!AMR\n"

    await active.deliver(delivery("你好", media=(VOICE,)))
    await active.deliver(delivery("你好", id="t.2", media=(VOICE,)))

    assert [body["voice"] for body in active.wechat.bodies] == [{"media_id": "media-1"}] * 2
    assert len(active.uploads) == 1


@pytest.mark.parametrize("stored", [{}, {"main/say/1": b"#!AMR\n"}])
async def test_what_cannot_be_uploaded_is_said_in_words(active, stored):
    active.objects.stored = stored
    active.upload_answers = [AmbiguousError("lost")]

    result = await active.deliver(delivery("你好", media=(VOICE,)))

    assert active.wechat.shown == [("你好", False)]
    assert "voice: could not be uploaded, said in words" in result.reasons


async def test_what_wechat_refuses_to_show_is_said_in_words(active):
    active.objects.stored["main/say/1"] = b"#!AMR\n"
    active.wechat.answers = [ApiError(40007, "expired", lookup(40007).action)]

    result = await active.deliver(delivery("你好", media=(VOICE,)))

    assert active.wechat.shown == [("你好", False)]
    assert (result.status, result.errcode) == ("delivered", 0)


async def test_pictures_and_cards_follow_the_text(active):
    active.objects.stored["main/p"] = b"\xff\xd8\xff"
    picture = Media(kind="image", key="main/p")
    card = Card(title="说明", url="https://a.example", picture_url="https://a.example/p.jpg")

    result = await active.deliver(delivery("请看", media=(picture,), cards=(card,)))

    assert active.wechat.shown == [("请看", False)]
    assert [body["msgtype"] for body in active.wechat.bodies] == ["image", "news"]
    assert (result.status, result.parts) == ("delivered", 3)


CARD = Card(title="说明", description="怎么退货", url="https://a.example")


@pytest.mark.parametrize(
    ("ai", "description"), [(True, "怎么退货\n（AI 生成）"), (False, "怎么退货")]
)
async def test_a_card_in_a_passive_reply_says_itself_that_an_ai_chose_its_words(
    auto, ai, description
):
    """Nothing of WeChat's marks the answer to a callback."""
    await auto.deliver(delivery("", ai=ai, kind="answer" if ai else "notice", cards=(CARD,)))

    [offer] = auto.offers
    assert offer.form.card.description == description
    assert offer.form.card.title == "说明"


async def test_a_card_that_wechat_marks_by_itself_is_shown_as_it_is(active):
    await active.deliver(delivery("", ai=True, cards=(CARD,)))

    [body] = active.wechat.bodies
    assert body["news"]["articles"][0]["description"] == "怎么退货"


async def test_a_menu_of_customer_service_ends_with_the_label(at_home, platform):
    """WeCom has no mark of its own."""
    kf = at_home("wecom_kf")

    await kf.deliver(delivery("", ai=True, menu=MENU, peer="wk1"))

    [body] = platform.at(KF_SEND)
    assert body["msgmenu"]["tail_content"] == "谢谢\n（AI 生成）"


def test_every_attachment_that_has_words_can_be_labelled():
    miniprogram = Attachment(card=Card(title="店", appid="wx1", page_path="p"))

    assert labelled(miniprogram, "（AI）").card.title == "店（AI）"
    assert labelled(Attachment(media=VOICE), "（AI）") == Attachment(media=VOICE)
    assert labelled(Attachment(menu=MENU), "") == Attachment(menu=MENU)


async def test_a_passive_account_numbers_its_menus(passive):
    await passive.deliver(delivery("请选择", kind="notice", menu=MENU))

    assert passive.answered == ["请选择\n1. 退款\n2. 发票\n谢谢"]


async def test_cards_become_lines_where_messages_are_scarce(world):
    scarce = world(mode="active", settings=Settings(quota=1))
    card = Card(title="说明", url="https://a.example")

    await scarce.deliver(delivery("请看", cards=(card,)))

    assert scarce.wechat.shown == [("请看\n\n说明\nhttps://a.example", False)]


# -- pages and outages -------------------------------------------------------------------------


async def test_an_answer_that_cannot_fit_links_to_its_page(world, passive):
    linked = {"page": "a" * 26, "ai": True}
    pages = pages_of()
    scarce = world(mode="active", settings=Settings(quota=1), pages=pages)
    silent = world(mode="passive", pages=pages)

    await scarce.deliver(delivery(LONG, **linked))
    result = await silent.deliver(delivery(LONG, **linked))

    [(text, _)] = scarce.wechat.shown
    for said in (text, *silent.answered):
        assert "\n完整回答：https://q.example/a/" in said
        assert size(said) <= 2000
    assert (result.status, result.parked) == ("delivered", 0)


async def test_an_answer_that_fits_has_no_link(world):
    auto = world(mode="auto", pages=pages_of())

    await auto.deliver(delivery(LONG, page="a" * 26))

    said = [*auto.answered, *(text for text, _ in auto.wechat.shown)]
    assert not any("完整回答" in text for text in said)


async def test_an_outage_is_noticed_and_its_end_too(active):
    active.wechat.answers = [UnreachableError("down")] * active.settings.outage_after
    process = active.first
    for attempt in range(1, active.settings.outage_after + 1):
        with pytest.raises(TransientError):
            await active.deliver(delivery("你好"), attempt=attempt, process=process)
    assert active.outages.is_down(ACCOUNT)

    await active.deliver(delivery("你好"), attempt=9, process=process)

    assert not active.outages.is_down(ACCOUNT)


def pages_of():
    return Pages(base_url="https://q.example", key=Secret("k"))


async def test_a_channel_without_an_api_is_never_asked_to_send(passive):
    assert passive.channel().send is None
    assert passive.channel().upload is None
