"""Two replicas of ingress on a broker of their own, and a browser to look at what they serve."""

import asyncio
import os
import shutil
import time
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest
from msgspec import structs
from queqiao_common.bus import connect
from queqiao_common.kv import JetStreamDocuments
from queqiao_common.pages import Page, address, new_page_id
from queqiao_common.runtime import open_runtime
from queqiao_common.settings import Account, Config, Nats, Pages, Secret
from queqiao_common.testing import eventually
from queqiao_common.topology import PAGES
from queqiao_ingress.__main__ import main
from queqiao_testbed.brokers import make_broker, started
from queqiao_testbed.ports import free_ports

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")  # noqa: TID251 - a test's own
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip
KEY = "the key of pages"
HOUR_MS = 3_600_000


@pytest.fixture(scope="package")
def broker(tmp_path_factory):
    yield from started(make_broker(tmp_path_factory.mktemp("pages-broker"), "process"))


class Shelf:
    """Writes pages as context does, and knows their addresses."""

    def __init__(self, documents: JetStreamDocuments[Page], bases: list[str]) -> None:
        self._documents = documents
        self._bases = bases
        self._known: dict[str, Page] = {}

    async def write(self, page_id: str, text: str, *, final: bool = True) -> None:
        now_ms = time.time_ns() // 1_000_000
        page = self._known.get(page_id) or Page(
            account="main", text="", created_ms=now_ms, until_ms=now_ms + HOUR_MS
        )
        page = self._known[page_id] = structs.replace(page, text=text, is_final=final)
        await self._documents.update(page_id, lambda _: (page, None))

    async def new(self, text: str, *, final: bool = True) -> str:
        page_id = new_page_id()
        await self.write(page_id, text, final=final)
        return page_id

    def address(self, page_id: str, *, replica: int = 0, until_ms: int | None = None) -> str:
        ends = self._known[page_id].until_ms if until_ms is None else until_ms
        return address(self._bases[replica], KEY, page_id, ends)


@pytest.fixture(scope="package")
async def shelf(broker):
    """The shelf of pages, behind two replicas of ingress."""
    config = Config(
        nats=Nats(url=broker.url),
        accounts=(Account(id="main", appid="wx0123456789abcdef", token=Secret("token")),),
        pages=Pages(base_url="https://bot.example", key=Secret(KEY)),
    )
    async with AsyncExitStack() as replicas:
        bases = [await replicas.enter_async_context(_replica(config)) for _ in range(2)]
        bus = await connect(config.nats, "context")
        replicas.push_async_callback(bus.close)
        yield Shelf(JetStreamDocuments(bus, PAGES, Page), bases)


@asynccontextmanager
async def _replica(config):
    port, _ = free_ports()
    base = f"http://127.0.0.1:{port}"
    async with open_runtime("ingress", config) as runtime, httpx.AsyncClient() as client:

        async def is_ready() -> bool:
            try:
                return (await client.get(f"{base}/readyz")).is_success
            except httpx.TransportError:
                return False

        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("QUEQIAO_HTTP_HOST", "127.0.0.1")
            environment.setenv("QUEQIAO_HTTP_PORT", str(port))
            running = asyncio.create_task(main(runtime))
            await eventually(is_ready)
        yield base
        runtime.stopping.set()
        await running


@pytest.fixture(scope="package")
async def browser():
    playwright = pytest.importorskip("playwright.async_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (set CHROMIUM to its path)")
    async with playwright.async_playwright() as started_playwright:
        try:
            launched = await started_playwright.chromium.launch(
                executable_path=CHROMIUM, args=ARGUMENTS
            )
        except playwright.Error as error:
            pytest.skip(f"Chromium does not start: {str(error).splitlines()[0]}")
        yield launched
        await launched.close()
