"""Menus, keywords, codes and personas, which WeChat switches off where a callback is set."""

from queqiao_common.testing import eventually

from tests.integration.conversation.watching import prompts, replies


async def follow(system, user):
    """Only who follows an account is shown its menu."""
    await system.happen("auto", user, "subscribe")
    await replies(system, "auto", user)


async def test_a_keyword_is_answered_on_every_kind_of_account(talking):
    for account in ("auto", "active", "sub"):
        await talking.say(account, "k1", "营业时间")

        assert await replies(talking, account, "k1") == ["九点到六点"]
    assert await prompts(talking, "营业时间") == []


async def test_a_menu_is_answered_by_its_rule(talking):
    await follow(talking, "k2")
    await talking.happen("auto", "k2", "CLICK", event_key="HOURS")

    assert (await replies(talking, "auto", "k2", 2))[1] == "九点到六点"


async def test_a_menu_may_ask_the_model(talking):
    await follow(talking, "k3")
    await talking.happen("auto", "k3", "CLICK", event_key="JOKE")

    assert "讲个笑话" in (await replies(talking, "auto", "k3", 2))[1]


async def test_who_comes_by_a_code_meets_its_persona_who_knows_nothing_of_the_shop(talking):
    await talking.say("auto", "k4", "有货吗k4")
    await replies(talking, "auto", "k4")
    await talking.happen("auto", "k4", "SCAN", event_key="class-1")
    assert (await replies(talking, "auto", "k4", 2))[1] == "同学好"

    await talking.say("auto", "k4", "一加一k4")
    await replies(talking, "auto", "k4", 3)

    assert await prompts(talking, "有货吗k4") == [["你是店员。", "有货吗k4"]]
    assert await prompts(talking, "一加一k4") == [["你是老师。", "一加一k4"]]


async def test_what_no_rule_is_about_is_a_question(talking):
    await talking.say("auto", "k5", "营业时间是什么意思")

    assert "营业时间是什么意思" in (await replies(talking, "auto", "k5"))[0]


async def test_a_rule_may_show_a_card(talking):
    await talking.say("active", "k6", "新品")

    async def card():
        entries = await talking.transcript("active", "k6")
        shown = [one["content"] for one in entries if one["who"] == "account"]
        return shown[0] if shown else None

    [article] = (await eventually(card, within=60.0))["articles"]
    assert (article["title"], article["url"]) == ("本周新品", "https://shop.example/new")
