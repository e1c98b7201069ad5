"""Context owns the conversations: `python -m queqiao_context`."""

import math
from collections.abc import Callable
from typing import TypeVar

from queqiao_common.events import Event
from queqiao_common.kv import JetStreamDocuments
from queqiao_common.pages import Page, new_page_id
from queqiao_common.people import WithPerson
from queqiao_common.runtime import Runtime, run
from queqiao_common.topology import (
    CONTEXT_DELIVERED,
    CONTEXT_SCREENED,
    CONTEXT_SEGMENTS,
    CONTEXT_SUMMARIES,
    CONTEXT_TIMEOUTS,
    CONVERSATIONS,
    INBOUND,
    NOTES,
    PAGES,
    PEOPLE,
    Consumer,
)
from queqiao_common.worker import Buried, Handler, Yields

from queqiao_context import burials
from queqiao_context.document import Conversation, read
from queqiao_context.hearing import LOOKBACK_MS, Heard
from queqiao_context.notes import Remembered
from queqiao_context.overload import Overload
from queqiao_context.postponing import patient
from queqiao_context.service import Context, Documented
from queqiao_context.store import InboundStream, waiting_turns

E = TypeVar("E", bound=Event)

CHECK = 5.0
"""Seconds between two looks at what should have ended."""
LOOK = 2.0
"""Seconds between two looks at how many turns wait for a model."""


async def main(runtime: Runtime) -> None:
    """Wire the service and work until told to stop."""
    config, bus = runtime.config, runtime.bus
    overload = Overload(limit=config.context.shed_backlog, waiting=lambda: waiting_turns(bus))
    documents = Documented(
        conversations=runtime.bucket(CONVERSATIONS, Conversation, read=read),
        notes=runtime.bucket(NOTES, Remembered),
        pages=JetStreamDocuments(
            bus, PAGES, Page, lives=lambda _: config.pages.ttl, patience=math.inf
        ),
        people=JetStreamDocuments(
            bus, PEOPLE, WithPerson, lives=lambda _: config.handover.timeout, patience=math.inf
        ),
    )
    heard = Heard(lambda: following.start_ms)
    following = runtime.follow(INBOUND, heard.hear, since=2 * LOOKBACK_MS / 1000, bodies=False)
    context = Context(
        config=config,
        documents=documents,
        inbound=InboundStream(bus, heard),
        publish=bus.publish_event,
        now_ms=runtime.now_ms,
        new_page_id=new_page_id,
        shed=overload.shed,
    )
    consume(runtime, CONTEXT_SCREENED, context.absorb, burials.message)
    consume(runtime, CONTEXT_SEGMENTS, context.record, burials.piece)
    consume(runtime, CONTEXT_DELIVERED, context.settle, burials.result)
    consume(runtime, CONTEXT_SUMMARIES, context.summarise, burials.summary)
    consume(runtime, CONTEXT_TIMEOUTS, context.expire, burials.deadline)
    runtime.every(CHECK, context.look_after)
    runtime.every(LOOK, overload.look)
    runtime.mode("overload:repeats", overload.sheds_repeats)
    runtime.mode("overload", overload.sheds_new)
    await runtime.run()


def consume(
    runtime: Runtime, consumer: Consumer[E], handler: Handler[E], bury: Callable[[Buried], Yields]
) -> None:
    """Handle a consumer's events with patience, and tell the conversation of those given up."""
    runtime.consume(consumer, patient(consumer, handler), on_buried=bury)


if __name__ == "__main__":
    run("context", main)
