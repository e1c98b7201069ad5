"""Items, messages and the references between them."""

from hypothesis import given
from hypothesis import strategies as st
from queqiao_egress.pages import Item, Style, page, pages, without
from queqiao_wechat.text import size

TEXT = st.text(alphabet="桥a。 \n😀<é", min_size=1, max_size=300).map(str.strip).filter(bool)
ITEMS = st.lists(st.tuples(TEXT, st.booleans()), max_size=6).map(
    lambda found: tuple(
        Item(id=f"d.{number}", text=text, ai=ai) for number, (text, ai) in enumerate(found)
    )
)
STYLES = st.builds(
    Style, limit_bytes=st.integers(60, 400), label=st.sampled_from(["", "（AI 生成）"])
)
NOTE = "（未完）"


def letters(*texts):
    return "".join("".join(texts).split())


@given(items=ITEMS, style=STYLES, full=st.booleans())
def test_messages_fit_and_are_the_text_in_order(items, style, full):
    found = pages(items, style, note=NOTE, full=full)

    bodies = [one.text.removesuffix(f"\n{NOTE}") for one in found]
    bodies = [body.removesuffix(f"\n{style.label}") if style.label else body for body in bodies]
    assert all(0 < size(one.text) <= style.limit_bytes for one in found)
    assert letters(*bodies) == letters(*(item.text for item in items))


@given(items=ITEMS, style=STYLES, full=st.booleans())
def test_taking_away_what_a_message_carries_leaves_what_comes_after_it(items, style, full):
    given_so_far = []
    for one in pages(items, style, full=full):
        given_so_far += one.carried
        assert without(items, given_so_far) == one.rest
        assert without(one.rest, given_so_far) == one.rest
        assert without(items, reversed(given_so_far)) == one.rest


@given(items=ITEMS, style=STYLES)
def test_a_message_is_marked_as_written_by_an_ai_when_any_of_it_was(items, style):
    for one in pages(items, style):
        carried = {reference.partition(":")[0] for reference in one.carried}
        assert one.ai == any(item.ai for item in items if item.id in carried)
        assert (style.label and one.ai) == (style.label and style.label in one.text)


@given(items=ITEMS.filter(bool), style=STYLES)
def test_filled_messages_are_never_more(items, style):
    assert len(pages(items, style, full=True)) <= len(pages(items, style)) + 1


def test_several_items_share_a_message():
    items = (Item(id="a", text="一"), Item(id="b", text="二"))

    one = page(items, Style(limit_bytes=200))

    assert (one.text, one.carried, one.rest) == ("一\n\n二", ("a", "b"), ())


def test_a_note_ends_a_message_only_where_something_is_left_or_to_come():
    items = (Item(id="a", text="一"),)
    style = Style(limit_bytes=200)

    assert page(items, style, note=NOTE).text == "一"
    assert page(items, style, note=NOTE, unfinished=True).text == f"一\n{NOTE}"


def test_a_filled_message_does_not_end_inside_a_link():
    link = '<a href="https://example.com/a/rather/long/path">这里</a>'
    items = (Item(id="a", text="桥" * 40 + "。" + link + "。" + "桥" * 90),)

    for one in pages(items, Style(limit_bytes=200), full=True):
        assert one.text.count("<a ") == one.text.count("</a>")
