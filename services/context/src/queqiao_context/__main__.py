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

from queqiao_context.document import Conversation
from queqiao_context.service import Context
from queqiao_context.store import InboundStream


async def main(runtime: Runtime) -> None:
    """Wire the service and work until told to stop."""
    inbound = InboundStream(runtime.bus)
    context = Context(
        config=runtime.config,
        conversations=runtime.bucket(CONVERSATIONS, Conversation),
        inbound=inbound,
        epoch=await inbound.epoch(),
        now_ms=lambda: time.time_ns() // 1_000_000,
    )
    runtime.consume(CONTEXT_SCREENED, context.absorb)
    runtime.consume(CONTEXT_SEGMENTS, context.record)
    runtime.consume(CONTEXT_DELIVERED, context.settle)
    runtime.consume(CONTEXT_TIMEOUTS, context.expire)
    await runtime.run()


if __name__ == "__main__":
    run("context", main)
