"""Moderation screens what users and models say: `python -m queqiao_moderation`."""

import httpx
from queqiao_common.runtime import Runtime, run
from queqiao_common.topology import (
    LIMITS,
    MODERATION_DRAFTS,
    MODERATION_INBOUND,
    MODERATION_MEDIA,
    POLICY,
)

from queqiao_moderation.limits import Pace
from queqiao_moderation.lists import ListDocument, LiveLists
from queqiao_moderation.provider import Provider
from queqiao_moderation.service import Moderation, Refuses

OVERLAP = 60.0
"""Seconds of changes that are heard again, so that none is missed between reading and following."""


async def main(runtime: Runtime) -> None:
    """Wire the service and work until told to stop."""
    lists = LiveLists(runtime.config.moderation)
    await lists.catch_up(runtime.bus, runtime.bucket(POLICY, ListDocument))
    async with httpx.AsyncClient() as http:
        moderation = Moderation(
            settings=runtime.config.moderation,
            policy=lambda: lists.policy,
            paces=runtime.bucket(LIMITS, Pace),
            fetches_media=runtime.config.media.enabled,
            refuses=second_opinion(runtime, http),
        )
        runtime.follow_bucket(POLICY, lists.hear, since=OVERLAP)
        runtime.consume(MODERATION_INBOUND, moderation.screen, on_buried=moderation.bury_message)
        runtime.consume(MODERATION_MEDIA, moderation.screen_media, on_buried=moderation.bury_media)
        runtime.consume(MODERATION_DRAFTS, moderation.screen_draft, on_buried=moderation.bury_draft)
        await runtime.run()


def second_opinion(runtime: Runtime, http: httpx.AsyncClient) -> Refuses | None:
    """Return the endpoint that is asked as well, where one is configured."""
    settings = runtime.config.moderation.provider
    if settings is None:
        return None
    provider = Provider(settings, http)
    runtime.mode("moderation", lambda: provider.is_down)
    return provider.is_refused


if __name__ == "__main__":
    run("moderation", main)
