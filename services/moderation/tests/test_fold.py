import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queqiao_moderation.fold import fold


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("ＦＵＣＫ", "fuck"),
        ("𝐟𝓊ⓒⓚ", "fuck"),
        ("Straße", "strasse"),
        ("é̶", "e"),
        ("賭博網站", "赌博网站"),
        ("加.微.信", "加微信"),
        ("赌 博", "赌博"),
        ("赌\u200b\ufe0f博", "赌博"),
        ("赌😀博", "赌博"),
        ("⾚色", "赤色"),
        ("㍿", "株式会社"),
        ("a\u3164b", "ab"),
        ("각", "각"),
    ],
)
def test_disguises_are_taken_away(text, letters):
    assert fold(text).letters == letters


def test_every_letter_leads_back_to_its_character():
    folded = fold("①ﬁ 赌")

    assert folded.letters == "1fi赌"
    assert folded.places == [0, 1, 1, 3]


@given(st.text())
def test_there_is_one_place_for_each_letter_and_places_never_go_back(text):
    folded = fold(text)

    assert len(folded.places) == len(folded.letters)
    assert folded.places == sorted(folded.places)
    assert all(0 <= place < len(text) for place in folded.places)


@given(st.text())
def test_folding_twice_changes_nothing(text):
    """Else a word in a list and the same word in a text could look different."""
    once = fold(text).letters

    assert fold(once).letters == once


@given(st.text())
def test_only_letters_and_digits_remain(text):
    assert all(unicodedata.category(letter)[0] in "LN" for letter in fold(text).letters)
