"""What a delivery carries beside its text, and the page of a long answer."""

import pytest
from msgspec import structs
from queqiao_common.events import Card, Media, Menu, MenuItem, Verdict
from queqiao_common.pages import Page
from queqiao_common.settings import Pages
from queqiao_common.testing import NOW_MS
from queqiao_context.showing import newer, page_of

from services.context.tests.talks import RULES, Talk

MENU = Menu(head="您想问：", items=(MenuItem("a1", "退款"), MenuItem("a2", "发货")))
VOICE = Media(kind="voice", key="main/say/1", text="甲")
PAGE = "b" * 26
PAGED = structs.replace(
    RULES, pages=Pages(base_url="https://example.com", min_bytes=10, ttl=60), page_id=PAGE
)


def test_menu_media_and_cards_leave_once():
    talk = Talk()
    talk.hear("问")
    talk.answer("甲", final=False, media=(VOICE,), cards=(Card(title="卡"),))
    talk.answer("乙", number=1, menu=MENU)
    talk.deliver()

    first, second = talk.deliveries
    assert (first.text, first.media, first.cards, first.menu) == (
        "甲",
        (VOICE,),
        (Card(title="卡"),),
        None,
    )
    assert (second.text, second.media, second.cards, second.menu) == ("乙", (), (), MENU)


def test_pieces_that_are_spoken_do_not_leave_with_those_that_are_not():
    """A voice says the text of its delivery: all of it."""
    talk = Talk()
    talk.hear("一")
    talk.answer("在途", final=False)
    talk.answer("甲", number=1, final=False, media=(VOICE,))
    talk.answer("乙", number=2, final=False, media=(VOICE,))
    talk.answer("丙", number=3)
    for _ in range(3):
        talk.deliver()

    assert talk.texts == ["在途", "甲\n\n乙", "丙"]
    assert [len(one.media) for one in talk.deliveries] == [0, 2, 0]


def test_a_notice_of_ours_is_not_labelled_and_no_history():
    talk = Talk()
    talk.hear("问")
    talk.answer("今天的次数用完了", notice=True)
    talk.deliver()

    [delivery] = talk.deliveries
    assert (delivery.kind, delivery.ai) == ("notice", False)
    assert talk.state.history == ()


def test_an_answer_beside_a_notice_is_history_without_it():
    talk = Talk()
    talk.hear("问")
    talk.answer("供参考：", notice=True, final=False)
    talk.answer("答案", number=1)
    talk.deliver()
    talk.deliver()

    assert [one.ai for one in talk.deliveries] == [False, True]
    assert [one.content for one in talk.state.history] == ["问", "答案"]


def test_an_answer_goes_to_whom_the_question_was_put():
    talk = Talk()
    talk.hear("问", peer="wk1", ticket="t1")
    talk.hear("再问", peer="wk1")
    talk.hear("另问", peer="wk2")
    talk.answer()
    talk.deliver()
    talk.answer()
    talk.deliver()
    talk.answer()

    assert [one.peer for one in talk.deliveries] == ["wk1", "wk1", "wk2"]
    assert talk.deliveries[0].waiting[0].ticket == "t1"


def test_a_long_answer_has_a_page_before_the_delivery_that_may_need_it():
    talk = Talk(rules=PAGED)
    talk.hear("问")
    talk.answer("短", final=False)
    assert page_of(talk.state, PAGED) is None
    talk.answer("长长长长", number=1, final=False)
    talk.deliver()

    assert [one.page for one in talk.deliveries] == ["", PAGE]
    assert page_of(talk.state, PAGED) == Page(
        account="main", text="短\n\n长长长长", created_ms=NOW_MS, until_ms=NOW_MS + 60_000
    )


def test_a_page_shows_what_has_come_but_not_left_and_says_when_it_is_whole():
    talk = Talk(rules=PAGED)
    talk.hear("问")
    talk.answer("在途", final=False)
    talk.answer("长长长长", number=1)

    page = page_of(talk.state, PAGED)

    assert page.is_final
    assert page.text == "在途\n\n长长长长"


@pytest.mark.parametrize("ending", ["blocked", "failed"])
def test_a_page_ends_where_its_answer_ends_and_holds_no_refusal(ending):
    talk = Talk(rules=PAGED)
    talk.hear("问")
    talk.answer("长长长长", final=False)
    if ending == "failed":
        talk.answer("", number=1, failed=True)
    else:
        talk.answer("不便展示", number=1, verdict=Verdict.BLOCKED)

    page = page_of(talk.state, PAGED)

    assert (page.text, page.is_final) == ("长长长长", True)


def test_without_pages_there_are_none():
    talk = Talk()
    talk.exchange("问", "长" * 3000)

    assert talk.deliveries[0].page == ""


def test_a_replica_that_knows_less_does_not_show_an_older_page():
    page = Page(account="main", text="甲乙", created_ms=1, until_ms=2)

    assert newer(None, page) == page
    assert newer(page, structs.replace(page, text="甲")) is None
    assert newer(page, page) is None
    assert newer(page, structs.replace(page, text="甲乙丙")).text == "甲乙丙"
    assert newer(structs.replace(page, is_final=True), structs.replace(page, text="甲乙丙")) is None
