"""Egress delivers replies to WeChat: `python -m queqiao_egress`."""

import time
import uuid

from queqiao_common.claims import Claim
from queqiao_common.runtime import Runtime, run
from queqiao_common.topology import (
    CLAIMS,
    EGRESS_MISSED,
    EGRESS_READY,
    MAILBOX,
    QUOTA,
    SENT,
    TOKENS,
)

from queqiao_egress import wechat
from queqiao_egress.mailbox import Box
from queqiao_egress.offers import Claims
from queqiao_egress.quota import Ledger
from queqiao_egress.sending import Sending
from queqiao_egress.sent import Marker
from queqiao_egress.service import Egress
from queqiao_egress.tokens import Held

CATCH_UP = 20.0
"""Seconds of claims to hear of at the start: longer than any request is held."""


def now_ms() -> int:
    """Return the wall clock, in ms."""
    return time.time_ns() // 1_000_000


async def main(runtime: Runtime) -> None:
    """Wire the service to its broker and to WeChat, and work."""
    config, owner = runtime.config, uuid.uuid4().hex
    claims = Claims(runtime.bucket(CLAIMS, Claim))
    tokens = runtime.bucket(TOKENS, Held)
    async with wechat.open_http() as http:
        clients = wechat.clients(config.accounts, http, tokens=tokens, owner=owner, now_ms=now_ms)
        sending = Sending(
            clients=clients,
            sent=runtime.bucket(SENT, Marker),
            ledgers=runtime.bucket(QUOTA, Ledger),
            settings=config.delivery,
            owner=owner,
            now_ms=now_ms,
        )
        egress = Egress(
            config,
            claims=claims,
            boxes=runtime.bucket(MAILBOX, Box),
            sending=sending,
            clients=clients,
            owner=owner,
            now_ms=now_ms,
        )
        runtime.follow_bucket(CLAIMS, claims.hear, since=CATCH_UP)
        runtime.consume(EGRESS_READY, egress.deliver, on_buried=egress.give_up)
        runtime.consume(EGRESS_MISSED, egress.show_typing)
        await runtime.run()


if __name__ == "__main__":
    run("egress", main)
