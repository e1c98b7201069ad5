"""Egress delivers replies to WeChat: `python -m queqiao_egress`."""

import uuid
from collections.abc import Mapping
from functools import partial

from queqiao_common.claims import Claim
from queqiao_common.displays import Display
from queqiao_common.objects import Objects
from queqiao_common.replicas import Replicas
from queqiao_common.runtime import Runtime, run
from queqiao_common.topology import (
    CLAIMS,
    CURSORS,
    DISPLAYS,
    EGRESS_MEDIA,
    EGRESS_MISSED,
    EGRESS_PULLS,
    EGRESS_READY,
    GIVEN,
    MAILBOX,
    MEDIA,
    QUOTA,
    SENT,
    TOKENS,
)

from queqiao_egress.allowance import Allowance
from queqiao_egress.attaching import Attachments
from queqiao_egress.channels.building import Builder, open_http
from queqiao_egress.channels.port import Channel
from queqiao_egress.cursors import Cursor, Peers
from queqiao_egress.fetching import Fetching
from queqiao_egress.mailbox import Box
from queqiao_egress.offers import Claims
from queqiao_egress.outages import Outages
from queqiao_egress.progress import Progress
from queqiao_egress.pulling import Pulls
from queqiao_egress.quota import Ledger
from queqiao_egress.senders import Senders
from queqiao_egress.sending import Sending
from queqiao_egress.sent import Marker
from queqiao_egress.service import Egress, Ways
from queqiao_egress.streaming import Streams
from queqiao_egress.tokens import Held

CATCH_UP = 20.0
"""Seconds of claims to hear of at the start: longer than any request is held."""
LOOK_AGAIN = 20.0
"""Seconds between looks at whether an account of WeChat Customer Service is to be pulled."""


async def main(runtime: Runtime) -> None:
    """Wire the service to its broker and to WeChat, and work."""
    config, owner, media = runtime.config, uuid.uuid4().hex, runtime.objects(MEDIA)
    async with open_http() as http:
        builder = Builder(
            config, http, tokens=runtime.bucket(TOKENS, Held), owner=owner, now_ms=runtime.now_ms
        )
        progress, replicas = Progress(), Replicas(runtime.bus, runtime.service)
        senders = Senders(replicas.ask, now_ms=runtime.now_ms)
        await replicas.listen(owner, progress.answer)
        runtime.bus.when_reconnected(senders.reconnected)
        ways = ways_of(
            runtime,
            builder.channels(config.accounts),
            media,
            senders=senders,
            progress=progress,
            owner=owner,
        )
        egress = Egress(config, ways, owner=owner, now_ms=runtime.now_ms)
        fetching = Fetching(ways.channels, media, config.media)
        pulled = builder.kf_clients(config.accounts)
        pulls = Pulls(
            pulled,
            peppers={one.id: config.pepper(one) for one in config.accounts if one.id in pulled},
            cursors=runtime.bucket(CURSORS, Cursor),
            peers=runtime.bucket(CURSORS, Peers),
            publish=runtime.bus.publish_event,
            owner=owner,
            now_ms=runtime.now_ms,
        )
        runtime.follow_bucket(CLAIMS, ways.claims.hear, since=CATCH_UP)
        runtime.follow(GIVEN, ways.claims.hear_given, since=CATCH_UP)
        runtime.consume(EGRESS_READY, egress.deliver, on_buried=egress.give_up)
        runtime.consume(EGRESS_MISSED, egress.show_typing)
        runtime.consume(EGRESS_MEDIA, fetching.fetch, on_buried=fetching.give_up)
        runtime.consume(EGRESS_PULLS, pulls.pull)
        runtime.every(LOOK_AGAIN, pulls.catch_up)
        await runtime.run()


def ways_of(
    runtime: Runtime,
    channels: Mapping[str, Channel],
    media: Objects,
    *,
    senders: Senders,
    progress: Progress,
    owner: str,
) -> Ways:
    """Return all that a delivery can leave by, and show where WeChat's API is down."""
    settings, outages = runtime.config.delivery, Outages(after=runtime.config.delivery.outage_after)
    for account in channels:
        runtime.mode(f"wechat:{account}", partial(outages.is_down, account))
    attachments = Attachments(media, now_ms=runtime.now_ms)
    displays = runtime.bucket(DISPLAYS, Display)
    return Ways(
        channels=channels,
        claims=Claims(runtime.bucket(CLAIMS, Claim)),
        boxes=runtime.bucket(MAILBOX, Box),
        sending=Sending(
            sent=runtime.bucket(SENT, Marker),
            allowance=Allowance(runtime.bucket(QUOTA, Ledger), now_ms=runtime.now_ms),
            attachments=attachments,
            outages=outages,
            senders=senders,
            progress=progress,
            settings=settings,
            owner=owner,
            now_ms=runtime.now_ms,
        ),
        streams=Streams(displays, merged=settings.merged, now_ms=runtime.now_ms),
        attachments=attachments,
    )


if __name__ == "__main__":
    run("egress", main)
