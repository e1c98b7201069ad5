"""Context owns the conversations: `python -m queqiao_context`."""

import time

from queqiao_common.runtime import Runtime, run
from queqiao_common.topology import (
    CONTEXT_DELIVERED,
    CONTEXT_SCREENED,
    CONTEXT_SEGMENTS,
    CONTEXT_TIMEOUTS,
    CONVERSATIONS,
)

from queqiao_context.document import Conversation, read
from queqiao_context.service import Context
from queqiao_context.store import InboundStream

CHECK = 5.0
"""Seconds between two looks at what should have ended."""


async def main(runtime: Runtime) -> None:
    """Wire the service and work until told to stop."""
    context = Context(
        config=runtime.config,
        conversations=runtime.bucket(CONVERSATIONS, Conversation, read=read),
        inbound=InboundStream(runtime.bus),
        publish=runtime.bus.publish_event,
        now_ms=lambda: time.time_ns() // 1_000_000,
    )
    runtime.consume(CONTEXT_SCREENED, context.absorb)
    runtime.consume(CONTEXT_SEGMENTS, context.record)
    runtime.consume(CONTEXT_DELIVERED, context.settle)
    runtime.consume(CONTEXT_TIMEOUTS, context.expire)
    runtime.every(CHECK, context.look_after)
    await runtime.run()


if __name__ == "__main__":
    run("context", main)
