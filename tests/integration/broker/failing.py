"""A service that fails at every event of one consumer: `python failing.py SERVICE CONSUMER`.

Run as a script, in the place of the service, by `test_burials.py`. What is told of an event that
was given up is handled as ever.
"""

import importlib
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from queqiao_common import runtime
from queqiao_common.events import Event
from queqiao_common.worker import Outgoing, Received
from queqiao_context.burials import MARK

ATTEMPTS = 2


def failing(handler: Any) -> Any:
    async def handle(received: Received[Any]) -> AsyncIterator[Event | Outgoing]:
        if not received.event.id.startswith(MARK):
            raise ArithmeticError("it always fails")
        async for item in handler(received):
            yield item

    return handle


class FailingRuntime(runtime.Runtime):
    def consume(self, consumer: Any, handler: Any, **options: Any) -> None:
        if consumer.name == sys.argv[2]:
            consumer, handler = replace(consumer, attempts=ATTEMPTS), failing(handler)
        super().consume(consumer, handler, **options)


if __name__ == "__main__":
    vars(runtime)["Runtime"] = FailingRuntime
    runtime.run(sys.argv[1], importlib.import_module(f"queqiao_{sys.argv[1]}.__main__").main)
