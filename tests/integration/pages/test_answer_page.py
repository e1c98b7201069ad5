"""The page of a long answer, as its reader's browser shows it, from two replicas and a broker."""

import asyncio
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from queqiao_common.testing import eventually

pytestmark = [pytest.mark.broker, pytest.mark.browser]

ANSWER = (Path(__file__).parent / "answer.md").read_text(encoding="utf-8")
PHONE, SCREEN = {"width": 390, "height": 800}, {"width": 1280, "height": 800}
HOSTILE = """
<script>document.title='owned'</script> <img src=x onerror="document.title='owned'">
[点我](javascript:document.title='owned') ![x](https://tracker.example/x.png)
$\\text{<img src=x onerror=document.title='owned'>}$ $\\href{javascript:alert(1)}{x}$

```"><script>document.title='owned'</script>
code
```
"""


class Tab:
    """One page of the browser, with everything that it complained of and asked for."""

    def __init__(self, page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requested: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on(
            "console",
            lambda line: self.complaints.append(line.text) if line.type == "error" else None,
        )
        page.on("request", lambda request: self.requested.append(request.url))

    async def text(self) -> str:
        return str(await self.page.inner_text("article"))

    async def shows(self, text: str) -> bool:
        return text in await self.text()


async def opened(browser, url: str, size=PHONE, **options) -> Tab:
    context = await browser.new_context(viewport=size, **options)
    tab = Tab(await context.new_page())
    await tab.page.goto(url)
    return tab


@pytest.mark.parametrize("size", [PHONE, SCREEN], ids=["phone", "screen"])
async def test_a_long_answer_fits_every_screen(browser, shelf, size):
    """Code and tables scroll in their own boxes: the page itself never moves sideways."""
    url = shelf.address(await shelf.new(ANSWER))

    tab = await opened(browser, url, size)

    width = await tab.page.evaluate("document.documentElement.scrollWidth")
    assert width == size["width"]
    assert await tab.page.inner_text("header h1") == "完整回答"
    assert "人工智能生成" in await tab.page.inner_text(".notice")
    assert await tab.page.is_hidden(".writing")
    assert await tab.page.locator("article math").count() > 5
    assert await tab.page.locator("article .code .k").count() > 0
    assert await tab.page.locator("article td.r").count() > 0
    assert tab.complaints == []


async def test_the_page_asks_nobody_else_and_leaves_nothing(browser, shelf):
    url = shelf.address(await shelf.new(HOSTILE))

    tab = await opened(browser, url)
    await tab.page.locator("article a").first.wait_for()

    assert {urlsplit(one).netloc for one in tab.requested} == {urlsplit(url).netloc}
    assert await tab.page.context.cookies() == []
    assert await tab.page.evaluate("localStorage.length + sessionStorage.length") == 0


async def test_nothing_that_a_model_wrote_runs(browser, shelf):
    page_id = await shelf.new("开头", final=False)
    tab = await opened(browser, shelf.address(page_id))

    await shelf.write(page_id, HOSTILE)  # the same by the stream as in the page
    await eventually(lambda: tab.page.is_hidden(".writing"))

    assert await tab.page.title() == "完整回答"
    assert "<script>" in await tab.text()
    assert await tab.page.locator("article script, article img, article [onerror]").count() == 0
    assert tab.complaints == []


async def test_an_answer_grows_before_its_readers_eyes_at_any_replica(browser, shelf):
    page_id = await shelf.new("第一段", final=False)
    tabs = [await opened(browser, shelf.address(page_id, replica=number)) for number in (0, 1)]
    assert all([await tab.page.is_visible(".writing") for tab in tabs])
    await tabs[0].page.evaluate("window.kept = document.querySelector('article p')")

    await shelf.write(page_id, "第一段\n\n第二段", final=False)
    for tab in tabs:
        await eventually(partial(tab.shows, "第二段"))
    await shelf.write(page_id, "第一段\n\n第二段\n\n第三段", final=True)
    for tab in tabs:
        await eventually(partial(tab.page.is_hidden, ".writing"))

    assert [await tab.text() for tab in tabs] == ["第一段\n\n第二段\n\n第三段"] * 2
    # What did not change was not touched: a reader may be selecting it.
    assert await tabs[0].page.evaluate("window.kept === document.querySelector('article p')")
    assert [tab.complaints for tab in tabs] == [[], []]


async def test_without_scripts_the_page_is_all_there(browser, shelf):
    url = shelf.address(await shelf.new(ANSWER))

    tab = await opened(browser, url, java_script_enabled=False)

    assert "调和数" in await tab.page.text_content("article")


async def test_a_reader_of_the_dark_is_not_dazzled(browser, shelf):
    tab = await opened(browser, shelf.address(await shelf.new("文")), color_scheme="dark")

    colour = await tab.page.evaluate("getComputedStyle(document.body).backgroundColor")

    assert colour == "rgb(22, 24, 28)"


async def test_an_address_that_has_ended_is_explained(shelf):
    page_id = await shelf.new("秘密")

    async with httpx.AsyncClient() as client:
        ended, forged = await asyncio.gather(
            client.get(shelf.address(page_id, until_ms=1_000)),
            client.get(shelf.address(page_id) + "x"),
        )

    assert (ended.status_code, forged.status_code) == (410, 404)
    assert "链接已过期" in ended.text
    assert "秘密" not in ended.text + forged.text
