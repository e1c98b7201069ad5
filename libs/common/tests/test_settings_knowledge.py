import pytest
from queqiao_common.errors import SettingsError
from queqiao_common.settings import parse

MODEL = {"id": "m", "base_url": "http://model/v1", "model": "some"}
ROUTES = {"default": ["m"]}


def problems(**tables):
    with pytest.raises(SettingsError) as refused:
        parse({"models": [MODEL], "routes": ROUTES} | tables, {})
    return refused.value.problems


@pytest.mark.parametrize(
    ("tables", "problem"),
    [
        ({"knowledge": {"embed": "x"}}, "knowledge.embed: no model has the id 'x'"),
        (
            {"knowledge": {"embed": "m"}, "routes": {}},
            "knowledge.embed: needs [routes], or turns would be given to that model too",
        ),
        (
            {"knowledge": {"qdrant_url": "qdrant"}},
            "knowledge.qdrant_url: needs an address like https://host:6333",
        ),
        (
            {"knowledge": {"chunk_chars": 100, "overlap_chars": 80}},
            "knowledge.overlap_chars: must be less than half of chunk_chars",
        ),
        (
            {"personas": {"service": {"knowledge_only": True}}},
            "personas.service.knowledge_only: it has no collections in `knowledge`",
        ),
    ],
)
def test_a_mistake_is_named_by_its_key(tables, problem):
    assert problems(**tables) == (problem,)


def test_vectors_come_from_an_openai_endpoint_alone():
    spark = {"id": "s", "protocol": "kserve", "base_url": "grpc://model:1", "model": "x"}

    [problem] = problems(models=[MODEL, spark], knowledge={"embed": "s"})

    assert problem == "knowledge.embed: 's' has to speak the protocol 'openai'"


def test_the_defaults_hold_together():
    assert parse({}, {}).knowledge.enabled
