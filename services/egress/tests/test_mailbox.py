"""What waits for the user's next message."""

from queqiao_egress import mailbox
from queqiao_egress.mailbox import CAPACITY, EMPTY
from queqiao_egress.pages import Item, Style, page
from queqiao_wechat.text import size

CUT = "（后面的没有发完）"


def put(box, number, text="一段话。"):
    item = Item(id=f"t.{number}", text=text)
    return mailbox.put(box, item.id, (item,), cut=CUT)


def test_texts_wait_in_the_order_they_came():
    box = put(put(EMPTY, 1, "一"), 2, "二")

    assert page(box.items, Style(limit_bytes=100)).text == "一\n\n二"


def test_a_delivery_is_put_in_once_even_after_it_was_taken_out():
    """Its redelivery may come after the user has read it."""
    box = mailbox.remove(put(EMPTY, 1), ("t.1",))

    assert put(box, 1) == box
    assert box.items == ()


def test_only_what_was_given_is_taken_out_and_only_once():
    box = put(put(EMPTY, 1, "一二三四"), 2)

    box = mailbox.remove(box, ("t.1:2",))
    assert box.items[0] == Item(id="t.1", text="三四", start=2)
    assert mailbox.remove(box, ("t.1:2",)) == box
    assert mailbox.remove(box, ("t.1", "t.9")).items == box.items[1:]


def test_an_offer_is_remembered_until_its_outcome_is_known():
    box = mailbox.offer(mailbox.offer(EMPTY, "m_1"), "m_1")
    assert box.offered == ("m_1",)

    assert mailbox.settle(box, ("m_1", "m_2")).offered == ()


def test_a_full_mailbox_takes_no_more_and_says_so_once():
    box = EMPTY
    for number in range(40):
        box = put(box, number, "桥" * 1000)

    assert sum(size(item.text) for item in box.items) <= CAPACITY + size(CUT) + 1
    assert box.items[-1].text.endswith(CUT)
    assert [item.text.endswith(CUT) for item in box.items].count(True) == 1
    assert len(box.seen) == mailbox.REMEMBERED
