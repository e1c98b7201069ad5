"""The rules that judge the dialogues: a judge that is wrong is worse than none."""

import pytest

from evals.dialogues.judge import verdict
from evals.dialogues.reading import ROOT, Expect, read
from evals.dialogues.report import Exchange, Held, render
from evals.dialogues.rules import Finding, findings, has_number, is_cited, longest_run
from evals.dialogues.stage import models_of, settings_of

AUTUMN = "好的：\n\n空山秋夜静，\n落叶满阶前。\n月色来窗下，\n虫声入客眠。\n\n希望你喜欢。"


def met(answer, before="", **expect):
    return [one.is_so for one in findings(answer, before, Expect(**expect))]


@pytest.mark.parametrize("name", ["customer-service", "tutor", "life", "entertainment"])
def test_there_are_enough_dialogues_and_most_have_several_turns(name):
    scenario = read()[name]

    assert len(scenario.dialogues) >= 6
    assert sum(len(one.turns) > 1 for one in scenario.dialogues) >= 5
    assert all(turn.expect != Expect() for one in scenario.dialogues for turn in one.turns)


def test_a_number_counts_only_as_such():
    assert has_number("所以 x = 6。", "x = 6")
    assert has_number("所以x=6。", "x = 6")
    assert not has_number("所以 x = 60。", "x = 6")
    assert has_number("共 1,200 元", "1200")
    assert not has_number("3.13 厘米", "13")
    assert not has_number("13.5 厘米", "13")


def test_a_source_is_cited_by_its_title():
    assert is_cited("三天。\n〔来源：常见问题、退换货政策〕", "退换货政策")
    assert not is_cited("见退换货政策", "退换货政策")


def test_a_poem_is_known_by_its_lines():
    assert met(AUTUMN, poem="5x4") == [True]
    assert met(AUTUMN.replace("落叶满阶前", "落叶满地"), poem="5x4") == [False]
    assert met(AUTUMN, poem="7x4") == [False]
    assert longest_run("", bool) == 0


def test_an_idiom_has_to_begin_with_the_character():
    assert met("我接：意气风发！", idiom="意") == [True]
    assert met("我接：一心一意！", idiom="意") == [False]


def test_words_sizes_and_questions():
    assert met("三天到账，好吗？", has=("三天|3 天",), lacks=("亲",), asks=True) == [
        True,
        True,
        True,
    ]
    assert met("三天到账。", has=("五天",), asks=True, max_chars=3, min_chars=2) == [
        False,
        True,
        False,
        False,
    ]
    assert met("答案是 13 厘米", gives_away="13") == [False]


def test_the_same_again_is_a_repetition():
    joke = "小明说他会飞，老师问怎么飞，他说坐飞机。"

    assert met(joke, before=joke, is_new=True) == [False]
    assert met("另一个完全不同的段子，讲的是一只猫。", before=joke, is_new=True) == [True]


def test_no_answer_is_never_good():
    assert met("", max_chars=10) == [True, False]


@pytest.mark.parametrize(
    ("said", "is_so"),
    [
        ('好的，{"ok": true, "why": "先问了步骤"}', True),
        ('```json\n{"ok": false, "why": "直接给了答案"}\n```', False),
        ("我认为符合", None),
        ('{"ok": "maybe"}', None),
        ("", None),
    ],
)
def test_a_judge_that_says_something_else_gives_no_verdict(said, is_so):
    assert verdict("标准", said).is_so is is_so


def test_the_report_shows_every_turn_and_every_finding():
    exchange = Exchange("你好", "您好\n请讲", 1.25, (Finding("asks", is_so=False, why="none"),))

    text = render({"tutor": [Held("问好", (exchange,))]}, models="m", judge="nobody")

    assert "| tutor | 1 | 1 | 0 | 1 | 0 | 1.2 s |" in text
    assert "> 您好\n> 请讲" in text
    assert "- ✗ asks (none)" in text


def test_models_are_those_of_the_first_choice_of_the_configuration(tmp_path):
    file = tmp_path / "queqiao.toml"
    file.write_text(
        '[[models]]\nid = "a"\nbase_url = "http://a/v1"\nmodel = "big"\n[routes]\ndefault = ["a"]\n'
    )

    models = models_of(file)

    assert models.names == "a (big)"
    assert settings_of(models)["routes"] == {"default": ["a"]}
    assert "fake" in models_of(None).names


def test_the_map_providers_tools_are_played_by_our_own():
    servers = {one["id"]: one for one in settings_of(models_of(None))["tools"]["servers"]}

    assert servers["amap"]["args"] == ["-m", "evals.dialogues.places"]
    assert "url" not in servers["amap"]
    assert (ROOT / "evals/dialogues/places.py").exists()
