"""The four scenarios through the whole pipeline: here they only have to run."""

import httpx
from msgspec import structs

from evals.dialogues.holding import hold
from evals.dialogues.judge import Judge
from evals.dialogues.reading import read
from evals.dialogues.report import render
from evals.dialogues.stage import Models, stage


def short(name, scenario):
    """One dialogue of each; of the customer service, one more: what no document says."""
    count = 3 if name == "customer-service" else 1
    return structs.replace(scenario, dialogues=scenario.dialogues[:count])


async def test_a_dialogue_of_each_scenario_is_held_and_reported(own_broker, tmp_path):
    scenarios = {name: short(name, scenario) for name, scenario in read().items()}
    models = Models()
    held = {}

    place = stage(tmp_path, broker_url=own_broker.url, scenarios=scenarios.values(), models=models)
    async with place as set_up, httpx.AsyncClient() as http:
        for name, scenario in scenarios.items():
            held[name] = await hold(set_up, Judge(http, None), name, scenario)

    report = render(held, models=models.names, judge="nobody")
    assert all(
        exchange.answer for some in held.values() for one in some for exchange in one.exchanges
    )
    assert all(f"## {name}" in report for name in scenarios)
    known, _, unknown = held["customer-service"]
    assert "〔来源：常见问题〕" in known.exchanges[0].answer
    assert "没有答案" in unknown.exchanges[0].answer
    assert "回复「人工」" in unknown.exchanges[0].answer
