from hypothesis import given
from hypothesis import strategies as st
from queqiao_llm.thinking import ThoughtFilter


def shown(*chunks):
    thoughts = ThoughtFilter()
    return "".join(thoughts.feed(chunk) for chunk in chunks) + thoughts.finish()


def test_thoughts_are_not_shown():
    assert shown("<think>嗯，用户问好。</think>\n\n你好！") == "\n\n你好！"


def test_tags_that_come_in_two_chunks_are_recognised():
    assert shown("前<th", "ink>想", "想</thi", "nk>后") == "前后"


def test_what_only_begins_like_a_tag_is_shown():
    assert shown("1 <", " 2", " <thin") == "1 < 2 <thin"


def test_a_thought_that_never_ends_hides_all_that_follows():
    assert shown("答<think>想", "想") == "答"


def test_text_is_shown_at_once_unless_it_may_begin_a_tag():
    """What is held back without need is read later."""
    assert ThoughtFilter().feed("你好") == "你好"


@given(st.lists(st.sampled_from(["<think>", "</think>", "<", "th", "想", "答", "ink>", "</"])))
def test_where_the_chunks_end_makes_no_difference(chunks):
    text = "".join(chunks)

    assert shown(*chunks) == shown(text) == shown(*text)


@given(st.text(alphabet="ab<>thinkk/你\n"))
def test_text_without_the_tag_is_unchanged(text):
    if "<think>" not in text:
        assert shown(*text) == text
