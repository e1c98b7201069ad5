"""What answers cost, by the prices of the configuration. Pure."""

from queqiao_common import events
from queqiao_common.settings import Model

from queqiao_llm.completion import Usage


def priced(model: Model, usage: Usage) -> events.Usage:
    """Return what an answer took as the event says it: with its cost in millionths.

    A price is that of a million tokens, so it is also a token's in millionths.
    """
    cost = usage.prompt_tokens * model.input_price + usage.completion_tokens * model.output_price
    return events.Usage(
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        cost_micros=round(cost),
    )
