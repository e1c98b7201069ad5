import asyncio
import contextlib
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest
from fastapi import FastAPI
from prometheus_client import REGISTRY
from queqiao_common.errors import BrokerUnavailable
from queqiao_common.events import encode
from queqiao_common.pages import Page, address, new_page_id
from queqiao_common.settings import Pages, Secret
from queqiao_common.settings.pages import Assets
from queqiao_common.testing import MemoryDocuments, eventually
from queqiao_ingress.pages import WRITING_MS, AnswerPages
from queqiao_ingress.readers import Readers

from services.ingress.tests.memory_broker import Message

NOW_MS = 1_767_225_600_000
KEY = "the key of pages"
HOUR_MS = 3_600_000


class Site:
    """The pages of one replica behind HTTP."""

    def __init__(self, *, limit=10, pages=None, **settings) -> None:
        self.now_ms = NOW_MS
        self.stopping = asyncio.Event()
        self.pages: MemoryDocuments[Page] = pages or MemoryDocuments()
        self.readers = Readers(limit=limit, stopping=self.stopping)
        self.app = FastAPI()
        defaults: dict[str, Any] = {
            "base_url": "https://bot.example",
            "key": Secret(KEY),
            "heartbeat": 60.0,
        }
        AnswerPages(
            Pages(**(defaults | settings)),
            pages=self.pages,
            readers=self.readers,
            now_ms=lambda: self.now_ms,
        ).open(self.app)

    async def write(self, page_id: str, text: str, *, final=True) -> str:
        """Keep a page, tell whoever reads it, and return its address."""
        page = Page(
            account="main",
            text=text,
            created_ms=NOW_MS,
            until_ms=NOW_MS + HOUR_MS,
            is_final=final,
        )
        found = await self.pages.get(page_id)
        await self.pages.put(page_id, page, revision=found.revision)
        self.readers.hear(raw(f"$KV.pages.{page_id}", encode(page)))
        return address("", KEY, page_id, page.until_ms)

    def client(self) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app)
        return httpx.AsyncClient(transport=transport, base_url="http://ingress")

    async def get(self, path: str, **options) -> httpx.Response:
        async with self.client() as client:
            return await client.get(path, **options)


def raw(subject: str, body: bytes) -> Message:
    return Message(body, subject)


def events_of(path: str) -> str:
    parts = urlsplit(path)
    return f"{parts.path}/events?{parts.query}"


def changes(body: str) -> list[tuple[str, bool]]:
    """What a stream has shown: HTML, and whether that was all."""
    found = []
    for line in body.splitlines():
        if line.startswith("data: "):
            change = msgspec.json.decode(line.removeprefix("data: "))
            found.append((change["html"].strip(), change["final"]))
    return found


# -- the page ------------------------------------------------------------------------------------


async def test_an_answer_is_shown_to_whoever_has_its_address():
    site = Site(title="完整 <回答>", notice="AI 生成")
    path = await site.write(new_page_id(), "# 标题\n\n正文 <script>")

    response = await site.get(path)

    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "<h1>标题</h1>" in response.text
    assert "&lt;script&gt;" in response.text
    assert "完整 &lt;回答&gt;" in response.text
    assert "AI 生成" in response.text
    assert 'role="status" hidden' in response.text


async def test_a_page_keeps_to_itself():
    """No cookie, no third party, no script but its own file, and no trace in a search engine."""
    site = Site()
    response = await site.get(await site.write(new_page_id(), "文"))

    headers = response.headers
    assert "set-cookie" not in headers
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-robots-tag"].startswith("noindex")
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert "//" not in response.text.replace("<!doctype", "")
    assert "<style" not in response.text
    assert " style=" not in response.text


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda path: path, 200),
        (lambda path: path.replace("e=17", "e=18"), 404),
        (lambda path: path[:-1] + ("A" if path[-1] != "A" else "B"), 404),
        (lambda path: path.partition("?")[0], 404),
        (lambda path: path.replace("/a/", "/a/x"), 404),
        (lambda path: "/a/..%2f..%2fetc?e=1&s=1", 404),
    ],
)
async def test_no_address_but_the_signed_one_shows_anything(change, status):
    site = Site()
    path = await site.write(new_page_id(), "秘密")

    response = await site.get(change(path))

    assert response.status_code == status
    assert ("秘密" in response.text) == (status == 200)


async def test_an_address_that_has_ended_says_so_kindly():
    site = Site()
    path = await site.write(new_page_id(), "秘密")
    site.now_ms += HOUR_MS + 1000

    response = await site.get(path)

    assert response.status_code == 410
    assert "链接已过期" in response.text
    assert "秘密" not in response.text
    assert "noindex" in response.headers["x-robots-tag"]
    assert (await site.get(events_of(path))).status_code == 410


async def test_an_answer_that_was_erased_is_gone():
    site = Site()
    page_id = new_page_id()
    path = await site.write(page_id, "秘密")
    await site.pages.delete(page_id)

    assert (await site.get(path)).status_code == 410


async def test_without_a_broker_the_page_asks_for_patience():
    class Away(MemoryDocuments[Page]):
        async def get(self, key):
            raise BrokerUnavailable("no answer")

    site = Site(pages=Away())
    path = address("", KEY, new_page_id(), NOW_MS + HOUR_MS)

    response = await site.get(path)

    assert response.status_code == 503
    assert response.headers["retry-after"] == "5"


async def test_no_address_stands_in_a_log(caplog):
    """Whoever reads logs could read answers."""
    caplog.set_level("INFO")
    site, page_id = Site(), new_page_id()
    path = await site.write(page_id, "秘密")

    await site.get(path)
    await site.get(path + "x")

    lines = [r.__dict__ for r in caplog.records if r.name.startswith("queqiao")]
    assert [line["outcome"] for line in lines] == ["shown", "forged"]
    assert page_id not in str(lines)
    assert "秘密" not in str(lines)


# -- static files --------------------------------------------------------------------------------


async def test_static_files_are_kept_for_ever_under_their_hash():
    site = Site()
    page = (await site.get(await site.write(new_page_id(), "文"))).text
    paths = [part.split('"')[1] for part in page.split("=") if part.startswith('"/assets/')]

    responses = [await site.get(path) for path in paths]

    assert [one.status_code for one in responses] == [200, 200, 200]
    assert {one.headers["cache-control"] for one in responses} == {
        "public, max-age=31536000, immutable"
    }


async def test_another_releases_address_is_served_but_not_kept():
    """While replicas are changed one at a time, a page may name the file of the other release."""
    response = await Site().get("/assets/0123456789abcdef/page.css")

    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("name", ["page.html", "nothing.css", "..%2fpages.py", "%00"])
async def test_nothing_else_is_served(name):
    assert (await Site().get(f"/assets/0123456789abcdef/{name}")).status_code == 404


async def test_a_mirror_is_named_allowed_and_checked():
    site = Site(assets=Assets(base_url="https://cdn.example/q"))
    response = await site.get(await site.write(new_page_id(), "文"))

    assert 'href="https://cdn.example/q/assets/' in response.text
    assert response.text.count('integrity="sha384-') == 2
    assert "script-src https://cdn.example;" in response.headers["content-security-policy"]
    assert "connect-src 'self'" in response.headers["content-security-policy"]


# -- while it is being written -------------------------------------------------------------------


async def reading(site: Site, path: str) -> asyncio.Task[httpx.Response]:
    """Open a stream, and wait until it is open."""
    before = REGISTRY.get_sample_value("queqiao_ingress_page_streams") or 0
    task = asyncio.create_task(site.get(events_of(path), timeout=30))
    await eventually(
        lambda: (REGISTRY.get_sample_value("queqiao_ingress_page_streams") or 0) > before
    )
    return task


async def test_a_page_in_writing_names_its_stream():
    site = Site()
    path = await site.write(new_page_id(), "一", final=False)

    text = (await site.get(path)).text

    assert events_of(path).replace("&", "&amp;") in text
    assert 'aria-busy="true"' in text
    assert 'role="status">' in text


async def test_a_stream_shows_every_state_and_ends_with_the_last(monkeypatch):
    monkeypatch.setattr("queqiao_ingress.readers.PAUSE", 0.0)
    site, page_id = Site(), new_page_id()
    path = await site.write(page_id, "一", final=False)
    stream = await reading(site, path)

    await site.write(page_id, "一二", final=True)

    response = await stream
    assert response.headers["content-type"].startswith("text/event-stream")
    assert changes(response.text) == [("<p>一</p>", False), ("<p>一二</p>", True)]
    assert REGISTRY.get_sample_value("queqiao_ingress_page_streams") == 0


async def test_a_stream_of_a_finished_page_ends_at_once():
    site = Site()
    path = await site.write(new_page_id(), "一")

    assert changes((await site.get(events_of(path))).text) == [("<p>一</p>", True)]


async def test_states_that_come_too_fast_are_passed_over(monkeypatch):
    """Each is rendered as a whole: a fast model must not keep the processor busy for a reader."""
    monkeypatch.setattr("queqiao_ingress.readers.PAUSE", 0.2)
    site, page_id = Site(), new_page_id()
    path = await site.write(page_id, "0", final=False)
    stream = await reading(site, path)

    for number in range(1, 50):
        await site.write(page_id, str(number), final=number == 49)

    shown = changes((await stream).text)
    assert len(shown) < 10
    assert shown[-1] == ("<p>49</p>", True)


async def test_a_stream_shows_signs_of_life_and_what_it_was_not_told(monkeypatch):
    """A replica that had lost its broker heard nothing of the rest."""
    monkeypatch.setattr("queqiao_ingress.readers.PAUSE", 0.0)
    site, page_id = Site(heartbeat=0.02), new_page_id()
    path = await site.write(page_id, "一", final=False)
    stream = await reading(site, path)
    site.readers.hear(raw(f"$KV.pages.{page_id}", b"\xff"))
    site.readers.hear = lambda raw: None  # type: ignore[method-assign]  # deaf from here on

    await site.write(page_id, "一二", final=True)

    text = (await stream).text
    assert ": still there" in text
    assert changes(text)[-1] == ("<p>一二</p>", True)


async def test_a_stream_of_an_answer_that_nobody_finishes_ends():
    site, page_id = Site(heartbeat=0.02), new_page_id()
    path = await site.write(page_id, "一", final=False)
    stream = await reading(site, path)

    site.now_ms += WRITING_MS

    assert changes((await stream).text) == [("<p>一</p>", False)]
    assert 'data-events=""' in (await site.get(path)).text


async def test_streams_end_when_the_process_does():
    """The browser comes back by itself, to another replica."""
    site = Site()
    path = await site.write(new_page_id(), "一", final=False)
    stream = await reading(site, path)

    site.stopping.set()

    assert changes((await stream).text) == [("<p>一</p>", False)]


async def test_open_streams_are_bounded():
    site = Site(limit=1)
    path = await site.write(new_page_id(), "一", final=False)
    stream = await reading(site, path)

    refused = await site.get(events_of(path))

    assert refused.status_code == 503
    assert (await site.get(path)).status_code == 200
    stream.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await stream
    await eventually(lambda: not site.readers.is_full)


async def test_to_ask_for_a_stream_by_head_opens_none():
    site = Site()
    path = await site.write(new_page_id(), "一", final=False)

    async with site.client() as client:
        response = await client.head(events_of(path))

    assert response.headers["content-type"].startswith("text/event-stream")
    assert not response.content
