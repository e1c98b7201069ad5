"""The chat page in a real browser."""

import asyncio
import os
import shutil

import pytest
from fastapi import Response

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")  # noqa: TID251 - a test's own

pytestmark = pytest.mark.browser

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip


@pytest.fixture(scope="module")
async def chromium():
    playwright = pytest.importorskip("playwright.async_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (set CHROMIUM to its path)")
    async with playwright.async_playwright() as started:
        try:
            browser = await started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        except playwright.Error as error:
            pytest.skip(f"Chromium does not start: {str(error).splitlines()[0]}")
        yield browser
        await browser.close()


@pytest.fixture
async def browser(chromium):
    """One browser for all tests, a new window for each."""
    yield chromium
    for context in chromium.contexts:
        await context.close()


async def opened(browser, stage, **viewport):
    page = await browser.new_page(viewport=viewport or {"width": 1280, "height": 800})
    page.complaints = []
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("console", lambda line: page.complaints.append(line.text) if is_bad(line) else None)
    await page.goto(stage.url)
    return page


def is_bad(line):
    return line.type in ("error", "warning")


async def test_a_person_follows_asks_and_sees_the_answer(browser, stage, passive_reply):
    async def script(push):
        return Response(passive_reply(push.fields, '看<a href="https://a.example/x">全文</a>'))

    stage.bot.script = script
    page = await opened(browser, stage)

    await page.click("#follow-button")
    await page.fill("#text", "你好")
    await page.press("#text", "Enter")
    await page.wait_for_selector(".row.mine")
    link = page.locator(".row.theirs .bubble a").last
    await link.wait_for()
    await page.wait_for_selector(".delivery.reply")

    assert await link.get_attribute("href") == "https://a.example/x"
    assert await page.text_content(".path") == "被动回复"
    assert page.complaints == []


async def test_what_a_model_writes_cannot_run(browser, stage):
    attack = (
        "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
        '<a href="javascript:document.title=1">点我</a>'
    )
    stage.bot.replies(attack)
    await stage.say()
    await stage.settled()

    page = await opened(browser, stage)
    await page.wait_for_selector(".row.theirs")

    assert await page.locator(".bubble img, .bubble script, .bubble a").count() == 0
    assert await page.title() == "鹊桥 · 微信模拟器"
    assert page.complaints == []


async def test_typing_and_the_ai_mark_are_shown(browser, stage):
    said = await stage.say()
    token = await stage.token()
    page = await opened(browser, stage)
    await page.wait_for_selector(".row.mine")

    body = {"touser": said["openid"], "command": "Typing"}
    await stage.http.post(
        "/cgi-bin/message/custom/typing", params={"access_token": token}, json=body
    )
    await page.wait_for_selector("#chat-title:has-text('输入')")
    await stage.send(said["openid"], "答案", token, aimsgcontext={"is_ai_msg": 1})
    await page.wait_for_selector(".row.theirs .ai")

    assert await page.text_content(".ai") == "内容由第三方AI生成"
    assert await page.text_content("#chat-title") == "鹊桥"


async def test_on_a_phone_the_inspector_waits_to_be_opened(browser, stage):
    await stage.say()
    page = await opened(browser, stage, width=390, height=800)
    await page.wait_for_selector(".row.mine")

    before = await page.is_visible("#inspector")
    await page.click(".row.mine .bubble")
    await page.wait_for_selector("#inspector", state="visible")

    assert not before
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390


async def test_a_click_counts_though_something_arrives_between_press_and_release(browser, stage):
    await stage.say()
    page = await opened(browser, stage, width=390, height=800)
    await page.hover(".row.mine .bubble")

    await page.mouse.down()
    await stage.say()
    await page.wait_for_selector(".row.mine >> nth=1")
    await page.mouse.up()

    await page.wait_for_selector("#inspector", state="visible")


async def test_a_click_counts_while_the_page_asks_for_news(browser, stage):
    """As it does when its stream of changes opens, after the first drawing."""
    await stage.say()
    page = await opened(browser, stage, width=390, height=800)
    drawn, asked, clicked = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def opens_late(route):
        await drawn.wait()
        await route.continue_()

    async def answers_late(route):
        asked.set()
        await clicked.wait()
        await route.continue_()

    await page.route("**/control/stream", opens_late)
    await page.reload()
    await page.wait_for_selector(".row.mine")
    await page.route("**/control/about", answers_late)
    drawn.set()
    await asyncio.wait_for(asked.wait(), 10)

    await page.click(".row.mine .bubble")
    clicked.set()

    await page.wait_for_selector("#inspector", state="visible")
    assert page.complaints == []


async def test_what_happens_at_the_same_moment_is_all_shown(browser, stage):
    await stage.say()
    page = await opened(browser, stage)
    await page.wait_for_selector(".row.mine")

    await asyncio.gather(stage.say("又一句"), stage.say("我也来", user="新来的"))

    await page.wait_for_selector(".row.mine >> nth=1")
    await page.wait_for_selector("#users >> text=新来的")


async def test_what_could_not_be_sent_stays_to_be_sent_again(browser, stage):
    await stage.say()
    page = await opened(browser, stage)
    await page.wait_for_selector(".row.mine")
    await page.route("**/control/messages", lambda route: route.abort())

    await page.fill("#text", "很长的一段话")
    await page.press("#text", "Enter")

    await page.wait_for_selector("#notice:not([hidden])")
    assert await page.input_value("#text") == "很长的一段话"


async def test_the_page_speaks_english_too(browser, stage):
    page = await opened(browser, stage)

    await page.click("#language")
    await page.wait_for_selector("#accounts >> text=can send later >> nth=0")

    assert await page.get_attribute("html", "lang") == "en"


async def test_every_step_of_the_answer_is_told_in_order_with_its_reasons(browser, stage):
    """A long answer leaves in pieces, by more than one way."""
    said = await stage.say()
    trace = "0af7651916cd43dd8448eb211c80319c"
    passive = {"via": "passive", "reasons": ["window open for 3.1 s: passive reply", "handed over"]}
    by_api = {"via": "api", "reasons": ["4 of 5 messages left: 2 messages by API"]}
    for step in (passive, by_api | {"detail": {"parts": 2}}):
        seen = {"msgid": said["msgid"], "trace_id": trace, **step}
        await stage.control("POST", "/observations", json=seen)

    page = await opened(browser, stage)
    await page.wait_for_selector(".step")
    ways = await page.locator(".step .path").all_inner_texts()
    reasons = await page.locator(".step li").all_inner_texts()

    assert ways == ["被动回复", "客服消息"]
    assert reasons == [
        "推送还能等 3.1 秒：直接在应答里回复",
        "推送的应答带走了它",
        "额度还剩 4/5：用客服消息发 2 条",
    ]
    assert await page.locator(".step small").all_inner_texts() == ["发了 2 条"]
    assert await page.locator(".copyable code").all_inner_texts() == [trace]


async def test_what_happened_to_following_can_be_looked_at_too(browser, stage):
    page = await opened(browser, stage)

    await page.click("#follow-button")
    await page.wait_for_selector(".delivery.success")

    assert await page.text_content(".asked") == "小鹊 关注了公众号"


async def choose_account(page, stage, account):
    about = await stage.control("GET", "/about")
    index = [one["id"] for one in about["accounts"]].index(account)
    await page.locator("#accounts button").nth(index).click()
    await page.wait_for_selector(f"#accounts li:nth-child({index + 1}) .current")


async def test_pictures_are_shown_as_pictures(browser, stage):
    """A real decoder reads what the simulator makes up."""
    await stage.driver.picture("main", "小鹊")
    await stage.settled()

    page = await opened(browser, stage)
    photo = page.locator(".row.mine .photo")
    await photo.wait_for()
    await page.wait_for_function("document.querySelector('.photo').naturalWidth > 0")

    assert await photo.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [96, 96]
    assert page.complaints == []


async def test_the_accounts_menu_can_be_tapped(browser, stage):
    below = [{"type": "click", "name": "联系", "key": "CALL"}]
    menu = {
        "button": [
            {"type": "click", "name": "帮助", "key": "HELP"},
            {"name": "更多", "sub_button": below},
        ]
    }
    await stage.api("/cgi-bin/menu/create", await stage.token(), menu)
    await stage.say()

    page = await opened(browser, stage)
    await page.click("#menu >> text=帮助")
    await page.click("#menu >> text=更多")
    await page.click("#menu >> text=联系")
    await page.wait_for_selector(".note:has-text('CALL')")
    events = [entry["text"] for entry in await stage.settled() if entry["kind"] == "event"]

    assert events == ["CLICK HELP", "CLICK CALL"]
    assert page.complaints == []


async def test_a_menu_inside_the_chat_can_be_tapped(browser, stage):
    said, token = await stage.say(), await stage.token()
    menu = {"head_content": "满意吗", "list": [{"id": "1", "content": "满意"}]}
    body = {"touser": said["openid"], "msgtype": "msgmenu", "msgmenu": menu}
    await stage.api("/cgi-bin/message/custom/send", token, body)

    page = await opened(browser, stage)
    await page.click(".msgmenu .item")
    await page.wait_for_selector(".row.mine .bubble:has-text('满意')")

    assert (await stage.settled())[-1]["text"] == "满意"


async def test_every_kind_of_account_can_be_chosen(browser, stage, bot_answer):
    async def script(push):
        answer = {"id": "s", "finish": True, "content": "我是机器人"}
        return bot_answer(push, {"msgtype": "stream", "stream": answer})

    stage.bot.script = script
    page = await opened(browser, stage)
    await page.wait_for_selector("#accounts li:nth-child(9)")
    kinds = await page.locator("#accounts small").all_inner_texts()
    await choose_account(page, stage, "robot")
    await page.fill("#text", "你好")
    await page.press("#text", "Enter")
    await page.wait_for_selector(".row.theirs .bubble:has-text('我是机器人')")

    assert {"小程序", "企业微信应用", "微信客服", "智能机器人"} <= {
        kind.split(" · ")[0] for kind in kinds
    }
    assert await page.text_content(".path") == "流式回答"
    assert page.complaints == []


async def test_a_person_answers_on_the_page(browser, stage):
    await stage.say()
    await stage.driver.agent("main", "小鹊", "take")

    page = await opened(browser, stage)
    await page.fill("#agent-text", "我来帮您")
    await page.press("#agent-text", "Enter")
    await page.wait_for_selector(".row.theirs .bubble:has-text('我来帮您')")
    await page.click("#agent-close")
    await page.wait_for_selector("#agent", state="hidden")

    assert page.complaints == []


async def test_new_messages_do_not_close_an_open_menu(browser, stage):
    below = [{"type": "click", "name": "联系", "key": "CALL"}]
    menu = {"button": [{"name": "更多", "sub_button": below}]}
    await stage.api("/cgi-bin/menu/create", await stage.token(), menu)
    await stage.say()

    page = await opened(browser, stage)
    await page.click("#menu >> text=更多")
    await stage.say("又一条")
    await page.wait_for_selector(".row.mine >> nth=1")

    assert await page.is_visible("#menu >> text=联系")
