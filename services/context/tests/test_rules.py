"""`[[rules]]` in a conversation: replies, personas, hand-over, the model."""

import pytest
from msgspec import structs
from queqiao_common.settings import Account, Config, ContextSettings, Persona, Rule, Secret
from queqiao_common.testing import NOW_MS
from queqiao_context.rules import rules_for

from services.context.tests.talks import RULES, Talk, event

SHOP = Persona(prompt="你是店员。")
TUTOR = Persona(prompt="你是老师。", greeting="同学好", route="smart")
POET = Persona(prompt="你是诗人。")


def talk(*rules: Rule, **fields) -> Talk:
    personas = {"assistant": SHOP, "tutor": TUTOR, "poet": POET}
    return Talk(rules=structs.replace(RULES, personas=personas, rules=rules, **fields))


def test_a_fixed_reply_needs_no_model():
    shop = talk(Rule(values=("营业时间",), reply="九点到六点"))

    shop.hear("营业时间")

    assert shop.texts == ["九点到六点"]
    assert shop.requests == []


def test_a_menu_key_is_answered_by_its_rule():
    shop = talk(Rule(on="click", values=("HOURS",), reply="九点到六点"))

    shop.hear(**event("click", event_key="HOURS"))

    assert shop.texts == ["九点到六点"]


def test_a_rule_may_ask_the_model_something_else():
    shop = talk(Rule(on="click", values=("JOKE",), ask="讲个笑话"))

    shop.hear(**event("click", event_key="JOKE"))

    assert shop.questions == ["讲个笑话"]


def test_a_switch_of_persona_greets_and_does_not_go_on_with_the_old_talk():
    """Else the tutor would continue the shop's conversation."""
    shop = talk(Rule(values=("学习",), persona="tutor"))
    shop.exchange("有货吗", "有的")
    shop.hear("学习")
    shop.deliver()

    shop.hear("一加一")

    assert shop.texts[-1] == "同学好"
    assert shop.prompt == ["你是老师。", "一加一"]
    assert (shop.requests[-1].persona, shop.requests[-1].route) == ("tutor", "smart")


def test_the_persona_stays_until_another_is_chosen():
    shop = talk(Rule(values=("学习",), persona="tutor"))
    shop.hear("学习")
    shop.deliver()
    shop.exchange("一加一", "二")
    shop.wait(3 * 86_400)

    shop.hear("二加二")

    assert shop.prompt == ["你是老师。", "二加二"]


def test_choosing_the_same_persona_again_keeps_the_talk():
    shop = talk(Rule(values=("学习",), persona="tutor"))
    shop.hear("学习")
    shop.deliver()
    shop.exchange("一加一", "二")
    shop.hear("学习")
    shop.deliver()

    shop.hear("再加一")

    assert shop.prompt == ["你是老师。", "一加一", "二", "再加一"]


def test_a_persona_without_a_greeting_answers_the_message_itself():
    shop = talk(Rule(match="prefix", values=("作诗",), persona="poet"))

    shop.hear("作诗：春天")

    assert shop.prompt == ["你是诗人。", "作诗：春天"]


def test_a_silent_switch_by_a_menu_says_nothing():
    shop = talk(Rule(on="click", values=("POET",), persona="poet"))

    shop.hear(**event("click", event_key="POET"))
    shop.hear("春天")

    assert shop.texts == []
    assert shop.prompt == ["你是诗人。", "春天"]


def test_what_was_asked_before_the_switch_is_answered_by_whom_it_was_put_to():
    shop = talk(Rule(values=("学习",), persona="tutor"))
    shop.hear("有货吗")
    shop.hear("多少钱")
    shop.hear("学习")
    shop.answer()

    shop.deliver()

    assert shop.prompt == ["你是店员。", "有货吗", "答", "多少钱"]
    shop.answer()
    shop.deliver()
    assert shop.texts[-1] == "同学好"


def test_a_persona_that_is_no_longer_configured_is_the_account_s_again():
    shop = talk(Rule(values=("学习",), persona="tutor"))
    shop.hear("学习")
    shop.deliver()
    shop.change(personas={"assistant": SHOP})

    shop.hear("在吗")

    assert shop.requests[-1].persona == "assistant"


def test_a_scanned_code_decides_before_the_welcome():
    rules = (
        Rule(on="scan", values=("table-7",), reply="七号桌，请点单"),
        Rule(on="subscribe", reply="你好"),
    )
    shop = talk(*rules)

    shop.hear(**event("subscribe", scene="table-7", trigger="subscribe"))

    assert shop.texts == ["七号桌，请点单"]


def test_a_follower_without_a_rule_is_welcomed_as_the_account_says():
    shop = talk(Rule(on="scan", values=("table-7",), reply="七号桌"))

    shop.hear(**event("subscribe", scene="table-8", trigger="subscribe"))

    assert shop.texts == ["欢迎"]


def test_who_opens_a_chat_is_greeted_once_a_session():
    program = talk()
    enter = event("user_enter_tempsession", trigger="enter")
    program.hear(**enter)
    program.deliver()

    program.hear(**enter)
    program.wait(2 * 86_400)
    program.hear(**enter)

    assert program.texts == ["欢迎", "欢迎"]


def test_a_ticket_for_a_welcome_is_used():
    """WeChat Customer Service hands one out only where a welcome is due."""
    kf = talk()
    kf.exchange("在吗")

    kf.hear(**event("enter_session", trigger="enter", ticket="code", peer="wk1"))

    assert kf.deliveries[-1].text == "欢迎"
    assert kf.deliveries[-1].waiting[0].ticket == "code"
    assert kf.deliveries[-1].peer == "wk1"


def test_a_blocked_text_is_refused_before_any_rule():
    shop = talk(Rule(reply="都行"))

    shop.hear("坏话", verdict="blocked")

    assert shop.texts == ["坏话"]  # of a blocked message the text is the refusal


@pytest.mark.parametrize(
    ("kind", "agents", "window_ms", "passive_only"),
    [
        ("service", "each", 4500, False),
        ("subscription", "each", 14_500, True),
        ("miniprogram", "each", 0, False),
        ("wecom", "none", 4500, False),
        ("wecom_kf", "once", 0, False),
        ("wecom_bot", "none", 0, False),
    ],
)
def test_what_is_known_of_each_kind_of_account(kind, agents, window_ms, passive_only):
    account = Account(id="a", kind=kind, token=Secret("t"), persona="tutor", welcome="来了")
    mine, other = Rule(accounts=("a",), reply="x"), Rule(accounts=("b",), reply="y")
    config = Config(accounts=(account,), personas={"tutor": TUTOR}, rules=(mine, other))

    rules = rules_for(config, "a")

    assert (rules.agents, rules.window_ms, rules.passive_only) == (agents, window_ms, passive_only)
    assert rules.persona_of("") == ("tutor", TUTOR)
    assert (rules.welcome, rules.rules) == ("来了", (mine,))


def test_an_account_that_is_gone_has_defaults():
    rules = rules_for(Config(), "gone")

    assert rules.persona_of("") == ("assistant", Persona())
    assert rules.settings == ContextSettings()


def test_the_request_says_until_when_the_newest_message_s_request_is_open():
    shop = talk(window_ms=4500)
    shop.hear("问")
    shop.wait(1)
    shop.hear("再问")
    shop.answer()
    shop.deliver()

    assert [one.window_ms for one in shop.requests] == [NOW_MS + 4500, NOW_MS + 5500]
    assert talk().rules.window_ms == 0


def test_a_tapped_menu_item_is_named_to_the_model_s_service_where_it_stands_alone():
    shop = talk()
    shop.hear("第一项", menu_id="a1")
    shop.hear("第二项", menu_id="a2")
    shop.hear("还有")
    shop.answer()
    shop.deliver()

    assert [one.menu_id for one in shop.requests] == ["a1", ""]
