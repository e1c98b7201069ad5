"""Llm answers turns by asking models: `python -m queqiao_llm`."""

import time

from queqiao_common.runtime import Runtime, run
from queqiao_common.topology import LLM_REQUESTS

from queqiao_llm.circuits import Circuits
from queqiao_llm.providers.openai import OpenAi, open_http
from queqiao_llm.routing import routes_of
from queqiao_llm.service import Llm


async def main(runtime: Runtime) -> None:
    """Wire the service and work until told to stop."""
    config = runtime.config
    async with open_http(connections=config.llm.concurrency) as http:
        llm = Llm(
            providers={model.id: OpenAi(http, model) for model in config.models},
            routes=routes_of(config),
            circuits=Circuits(config.models, time.monotonic),
            segment_bytes=config.llm.segment_bytes,
            now_ms=lambda: time.time_ns() // 1_000_000,
        )
        runtime.consume(LLM_REQUESTS, llm.answer, on_buried=llm.bury, slots=config.llm.concurrency)
        await runtime.run()


if __name__ == "__main__":
    run("llm", main)
