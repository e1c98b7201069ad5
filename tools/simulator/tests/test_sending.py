"""Escapes, the one part of a send that only the raw body shows."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_simulator.sending import ESCAPE


@given(st.text(alphabet=st.characters(min_codepoint=0x80, exclude_categories=["Cs"]), min_size=1))
def test_escaped_text_is_noticed_and_raw_text_is_not(text):
    assert ESCAPE.search(json.dumps(text).encode())
    assert not ESCAPE.search(json.dumps(text, ensure_ascii=False).encode())


@pytest.mark.parametrize("text", ["\x01", '"', "\\u4f60", "a\\"])
def test_ascii_may_be_escaped(text):
    assert not ESCAPE.search(json.dumps(text, ensure_ascii=False).encode())
