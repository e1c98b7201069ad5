"""The page of a long answer: whoever has its address may read it, for as long as it is signed.

It sets no cookie, asks nobody else for anything, and runs no script but its own file: whatever a
model wrote is text by the time it is sent (`rendering`), and the policy in its headers says so once
more.
"""

import asyncio
import contextlib
import hashlib
import html
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from urllib.parse import urlencode

import msgspec
from fastapi import FastAPI, Request, Response
from prometheus_client import Counter
from queqiao_common.errors import QueqiaoError
from queqiao_common.kv import Documents
from queqiao_common.pages import PATH, Page, validity
from queqiao_common.settings import Pages
from starlette.responses import StreamingResponse

from queqiao_ingress.assets import Assets, template
from queqiao_ingress.readers import Readers
from queqiao_ingress.rendering import render

log = logging.getLogger(__name__)

READ_TIMEOUT = 2.0
"""Seconds for one look into the bucket."""
RENDERERS = 2
"""Pages that are rendered at once: callbacks have to be answered in time all the while."""
MOST_RENDERED = 200
"""Rendered answers that are kept, as most are looked at more than once."""
WRITING_MS = 1_800_000
"""What was begun longer ago and is not final never will be: whoever wrote it is gone."""
YEAR = 31_536_000

PAGES_SERVED = Counter(
    "queqiao_ingress_pages_total", "Requests for pages of answers, by outcome.", ["outcome"]
)

WORDS: Mapping[int, tuple[str, str]] = {
    404: ("没有这个页面", "请检查链接是否完整。"),
    410: ("链接已过期", "这个回答的页面已经失效。如果还需要，请回到聊天里重新提问。"),
    503: ("暂时打不开", "服务正忙，请稍后刷新再试。"),
}
"""What a person reads who cannot be shown the page: title and text."""


class Refused(Exception):  # noqa: N818 - not a failure
    """A request that is told `status` in place of the page."""

    def __init__(self, status: int, outcome: str) -> None:
        super().__init__(outcome)
        self.status = status
        self.outcome = outcome


class AnswerPages:
    """The routes of all pages; `now_ms` is the wall clock.

    Raises:
        SettingsError: the key of the addresses is not to be had.
    """

    def __init__(
        self,
        settings: Pages,
        *,
        pages: Documents[Page],
        readers: Readers,
        now_ms: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._key = settings.key.reveal()
        self._pages = pages
        self._readers = readers
        self._now_ms = now_ms
        self._assets = Assets(settings.assets.base_url)
        self._page, self._word = template("page.html"), template("word.html")
        self._rendered: OrderedDict[bytes, str] = OrderedDict()
        self._rendering = asyncio.Semaphore(RENDERERS)

    def open(self, app: FastAPI) -> None:
        """Serve the routes."""
        app.add_route(PATH, self.show, methods=["GET"])
        app.add_route(f"{PATH}/events", self.follow, methods=["GET"])
        app.add_route("/assets/{version}/{name}", self.file, methods=["GET"])

    async def show(self, request: Request) -> Response:
        """Answer with the page as it is now."""
        try:
            page = await self._find(request)
        except Refused as refused:
            return self._refuse(refused)
        is_written = self._is_written(page)
        content = self._page.substitute(
            **self._assets.fields(),
            title=html.escape(self._settings.title),
            notice=html.escape(self._settings.notice),
            events=html.escape(_events(request)) if is_written else "",
            busy=' aria-busy="true"' if is_written else "",
            done="" if is_written else " hidden",
            body=await self._render(page.text),
        )
        _count("shown", page.account)
        return Response(content, media_type="text/html", headers=self._headers())

    async def follow(self, request: Request) -> Response:
        """Answer with a stream of what the page becomes, until it is final."""
        try:
            if self._readers.is_full:
                raise Refused(503, "full")
            page = await self._find(request)
        except Refused as refused:
            return self._refuse(refused)
        _count("followed", page.account)
        headers = self._headers() | {"x-accel-buffering": "no"}
        if request.method == "HEAD":
            return Response(media_type="text/event-stream", headers=headers)
        page_id = request.path_params["page_id"]
        return StreamingResponse(
            self._events(page_id), media_type="text/event-stream", headers=headers
        )

    async def file(self, request: Request) -> Response:
        """Answer with a static file, which never changes under an address that names its hash."""
        asset = self._assets.find(request.path_params["name"])
        if asset is None:
            return Response(status_code=404)
        # While releases are changed, another replica's page may name another version: still serve.
        is_it = request.path_params["version"] == asset.version
        caching = f"public, max-age={YEAR}, immutable" if is_it else "no-store"
        headers = {
            "cache-control": caching,
            "access-control-allow-origin": "*",
            "cross-origin-resource-policy": "cross-origin",
            "x-content-type-options": "nosniff",
        }
        return Response(asset.content, media_type=asset.media_type, headers=headers)

    async def _find(self, request: Request) -> Page:
        """Return the page of an address.

        Raises:
            Refused: it is not ours, or no longer good, or there is nothing behind it.
        """
        query, page_id = request.query_params, request.path_params["page_id"]
        parts = (page_id, query.get("e", ""), query.get("s", ""))
        match validity(self._key, *parts, now_ms=self._now_ms()):
            case "forged":
                raise Refused(404, "forged")
            case "expired":
                raise Refused(410, "expired")
            case "valid":
                return await self._read(page_id)

    async def _read(self, page_id: str) -> Page:
        try:
            async with asyncio.timeout(READ_TIMEOUT):
                page = (await self._pages.get(page_id)).value
        except (QueqiaoError, TimeoutError):
            raise Refused(503, "unavailable") from None
        if page is None:
            raise Refused(410, "gone")
        return page

    def _is_written(self, page: Page) -> bool:
        return not page.is_final and self._now_ms() - page.created_ms < WRITING_MS

    async def _events(self, page_id: str) -> AsyncIterator[bytes]:
        yield b"retry: 2000\n\n"
        with self._readers.opened(page_id) as reader, contextlib.suppress(Refused):
            # Read only now: what is written from here on rings the reader's bell.
            page = await self._read(page_id)
            async for state in reader.follow(page, heartbeat=self._settings.heartbeat):
                if state is not None:
                    yield await self._event(state)
                    continue
                yield b": still there\n\n"
                # What was written while the broker was away rang no bell.
                page = await self._read(page_id)
                if not page.is_final and not self._is_written(page):
                    return
                reader.tell(page)

    async def _event(self, page: Page) -> bytes:
        change = {"html": await self._render(page.text), "final": page.is_final}
        return b"event: page\ndata: " + msgspec.json.encode(change) + b"\n\n"

    async def _render(self, markdown: str) -> str:
        """Render beside the loop, which has callbacks to answer; once for all who look."""
        key = hashlib.sha256(markdown.encode("utf-8", "surrogatepass")).digest()
        async with self._rendering:
            if key not in self._rendered:
                self._rendered[key] = await asyncio.to_thread(render, markdown)
                if len(self._rendered) > MOST_RENDERED:
                    self._rendered.popitem(last=False)
            return self._rendered[key]

    def _refuse(self, refused: Refused) -> Response:
        _count(refused.outcome)
        title, text = WORDS[refused.status]
        content = self._word.substitute(**self._assets.fields(), title=title, text=text)
        headers = self._headers()
        if refused.status == 503:
            headers["retry-after"] = "5"
        return Response(content, refused.status, media_type="text/html", headers=headers)

    def _headers(self) -> dict[str, str]:
        source = self._assets.source
        return {
            "content-security-policy": (
                f"default-src 'none'; script-src {source}; style-src {source}; img-src {source}; "
                "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            ),
            "cache-control": "no-store",
            "cross-origin-opener-policy": "same-origin",
            "permissions-policy": "camera=(), geolocation=(), microphone=()",
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
            "x-frame-options": "DENY",
            "x-robots-tag": "noindex, nofollow, noarchive",
        }


def _events(request: Request) -> str:
    query = urlencode({name: request.query_params[name] for name in ("e", "s")})
    return f"{request.url.path}/events?{query}"


def _count(outcome: str, account: str = "") -> None:
    # An address is a key to what it opens: nothing of it stands in a log.
    PAGES_SERVED.labels(outcome).inc()
    fields = {"outcome": outcome} | ({"account": account} if account else {})
    log.info("page.answered", extra=fields)
