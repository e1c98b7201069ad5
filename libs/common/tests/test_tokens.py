from hypothesis import given
from hypothesis import strategies as st
from queqiao_common.tokens import estimate_tokens


def test_a_chinese_character_is_about_a_token():
    """A quarter of the length, the usual rule, would be off by three quarters."""
    assert 70 <= estimate_tokens("今天天气怎么样" * 10) <= 90


def test_an_english_word_is_about_a_token():
    assert 40 <= estimate_tokens("the quick brown fox " * 10) <= 55


@given(st.text(), st.text())
def test_more_text_never_costs_less(text, more):
    assert 1 <= estimate_tokens(text) <= estimate_tokens(f"{text}\n{more}")
