"""What the stream of an AI bot shows, however its pieces arrive."""

from hypothesis import given
from hypothesis import strategies as st
from queqiao_common.displays import Display
from queqiao_common.testing import NOW_MS
from queqiao_egress.pages import Item, Style, without
from queqiao_egress.showing import closed, grown
from queqiao_wechat.text import size

STYLE = Style(limit_bytes=400, label="（AI 生成）")


def item(number, text):
    return Item(id=f"t.{number}", text=text, ai=True)


def show(display, *items, is_final=False):
    return grown(display, items, STYLE, is_final=is_final, now_ms=NOW_MS)


def test_a_final_text_stays_as_it_is():
    """The platform has stopped asking: nobody would see what comes after."""
    final = show(None, item(1, "好"), is_final=True)

    assert final.text == "好\n（AI 生成）"
    assert show(final, item(2, "再"), is_final=True) is final
    assert closed(final, "x", now_ms=NOW_MS) is final


def test_a_stream_that_ends_shows_what_it_has_or_why_it_has_nothing():
    assert closed(None, "已合并", now_ms=NOW_MS).text == "已合并"
    assert closed(Display(text="好"), "已合并", now_ms=NOW_MS).text == "好"


@given(
    texts=st.lists(st.text(alphabet="桥a 。", min_size=1).filter(str.strip), max_size=12),
    repeats=st.lists(st.integers(0, 11), max_size=12),
)
def test_content_only_ever_grows_and_never_beyond_what_is_taken(texts, repeats):
    """Content must be cumulative: what a user has read is never taken back."""
    items = [item(number, text.strip()) for number, text in enumerate(texts)]
    order = [items[n] for n in range(len(items))]
    for at in repeats:
        if at < len(order):
            order.insert(at + 1, order[at])
    display, before = None, ""
    for index, one in enumerate(order):
        display = show(display, one, is_final=index == len(order) - 1)
        assert display.text.startswith(before)
        assert size(display.text) <= STYLE.limit_bytes
        before = display.text
    if display is not None and not without(tuple(items), display.items):
        shown = "".join(display.text.removesuffix(STYLE.label).split())
        assert shown == "".join("".join(one.text for one in items).split())
