"""The second opinion, asked over real HTTP of an endpoint that a test breaks."""

import contextlib

import httpx
import pytest
from aiohttp import web
from queqiao_common.settings import ModerationProvider, Secret
from queqiao_moderation.provider import Provider, opinion_of


class Endpoint:
    """A moderation endpoint that flags what holds the word it was told, or fails as told."""

    def __init__(self):
        self.status = 200
        self.body = None
        self.asked = []
        self.keys = []

    async def moderate(self, request):
        body = await request.json()
        self.asked.append(body["input"])
        self.keys.append(request.headers.get("authorization"))
        if self.body is not None:
            return web.Response(body=self.body, status=self.status)
        hit = "坏" in body["input"]
        result = {"flagged": hit, "categories": {"violence": hit, "hate": False}}
        return web.json_response({"results": [result]}, status=self.status)


@pytest.fixture
async def endpoint():
    found = Endpoint()
    app = web.Application()
    app.router.add_post("/v1/moderations", found.moderate)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    yield found
    await runner.cleanup()


@contextlib.asynccontextmanager
async def asking(endpoint, *, clock=lambda: 0.0, **settings):
    async with httpx.AsyncClient() as http:
        yield Provider(ModerationProvider(base_url=endpoint.url, **settings), http, clock=clock)


async def test_what_the_endpoint_flags_is_refused_and_the_rest_passes(endpoint):
    async with asking(endpoint, api_key=Secret("k1")) as provider:
        assert await provider.is_refused("坏话", "in")
        assert not await provider.is_refused("好话", "out")

    assert endpoint.keys == ["Bearer k1", "Bearer k1"]


async def test_only_the_named_categories_refuse(endpoint):
    async with asking(endpoint, categories=("hate",)) as provider:
        assert not await provider.is_refused("坏话", "in")


async def test_a_direction_that_is_not_asked_about_costs_no_call(endpoint):
    async with asking(endpoint, directions=("in",)) as provider:
        assert not await provider.is_refused("坏话", "out")
        assert not await provider.is_refused("  ", "in")

    assert endpoint.asked == []


@pytest.mark.parametrize(("mode", "refused"), [("pass", False), ("block", True)])
@pytest.mark.parametrize("broken", [b"<html>", b"{}", b'{"results":[]}'])
async def test_an_answer_that_is_none_leaves_the_word_to_the_fail_mode(
    endpoint, mode, refused, broken
):
    endpoint.body = broken
    async with asking(endpoint, on_failure=mode) as provider:
        assert await provider.is_refused("话", "in") is refused


async def test_a_dead_endpoint_is_left_alone_and_tried_again_after_the_pause(endpoint):
    now = [0.0]
    endpoint.status, endpoint.body = 500, b""
    async with asking(
        endpoint, clock=lambda: now[0], breaker_failures=2, breaker_pause=10.0
    ) as provider:
        for _ in range(5):
            assert not await provider.is_refused("话", "in")
        assert len(endpoint.asked) == 2
        assert provider.is_down

        now[0], endpoint.status, endpoint.body = 11.0, 200, None
        assert await provider.is_refused("坏话", "in")
        assert not provider.is_down


def test_an_answer_without_results_is_no_opinion():
    assert opinion_of(b'{"results":[]}', ()) == "unknown"
