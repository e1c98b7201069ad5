import pytest
from queqiao_moderation.fold import fold
from queqiao_moderation.words import Match, RustEngine, Words, build_engine


def found(words, text):
    return [text[one.start : one.end] for one in Words(words).find(text, fold(text))]


@pytest.mark.parametrize(
    "text",
    [
        "加微信",
        "加.微.信",
        "加 微 信",
        "加，微，信",
        "加\n微\n信",
        "加😀微👍信",
        "加\u200b微\u200d信",
        "加微.信",
    ],
)
def test_a_word_is_found_however_it_is_spaced_out(text):
    assert found(["加微信"], f"请{text}吧") == [text]


@pytest.mark.parametrize(
    "text",
    [
        "去赌。博物馆在左边",
        "他爱赌，博士不爱",
        "赌\n博",
        "he lost the bet. Ting came later",
        "赌——————博",
    ],
)
def test_no_word_is_found_across_the_end_of_a_clause(text):
    """Two harmless sentences must not become a harmful word."""
    assert found(["赌博", "betting"], text) == []


@pytest.mark.parametrize("text", ["class", "assist", "compass point", "the pen is red", "138964"])
def test_a_part_of_a_longer_run_of_letters_is_no_word(text):
    assert found(["ass", "penis", "8964"], text) == []


@pytest.mark.parametrize(
    "text", ["ASS", "a s s", "a-s-s", "you ass!", "8964", "8-9-6-4", "加ass吗"]
)
def test_a_whole_run_of_letters_is_a_word(text):
    assert found(["ass", "8964"], text) != []


def test_a_phrase_is_found_with_and_without_its_own_gaps():
    assert found(["free money, now"], "get Free Money Now") == ["Free Money Now"]
    assert found(["free money, now"], "freemoney,now") == ["freemoney,now"]
    assert found(["free money"], "fr ee money") == []


def test_a_family_emoji_counts_as_what_is_seen_of_it():
    """It is seven characters, of which three join the others."""
    assert found(["赌博"], "赌👨‍👩‍👧‍👦博") == ["赌👨‍👩‍👧‍👦博"]


def test_words_of_which_nothing_remains_never_match():
    """Some engines find an empty pattern everywhere."""
    words = Words(["", "  ", "***", "\u200b", "赌博"])

    assert len(words) == 1
    assert words.find("赌博", fold("赌博")) == [Match(4, 0, 2)]
    assert Words([""]).find("赌博", fold("赌博")) == []


def test_the_longest_word_is_reported_and_those_that_overlap_it():
    assert found(["赌博", "赌博网站", "网站大全"], "赌博网站大全") == ["赌博网站", "网站大全"]


def test_of_words_that_fold_alike_the_first_is_reported():
    words = Words(["赌博", "賭博", "赌-博"])

    assert words.find("賭博", fold("賭博")) == [Match(0, 0, 2)]


def test_both_engines_find_the_same():
    """Linux on ARM has another engine, and must not have another policy."""
    pytest.importorskip("ahocorasick_rs")
    pytest.importorskip("daachorse")
    patterns, text = ["ab", "b", "bca", "赌博", "博"], "xabca赌博😀博ab"

    assert sorted(build_engine(patterns).find_overlapping(text)) == sorted(
        RustEngine(patterns).find_overlapping(text)
    )
