"""Answers that were written with other documents are never given."""

from services.llm.tests.fakes.cache import Bucket, Replica, Writer

QUESTION = "会员怎么申请退款"


async def test_a_changed_document_makes_kept_answers_unreachable():
    versions = {"service": "1"}
    replica = Replica(Bucket(), Writer("三天到账。"))
    replica.cache._version = lambda persona: versions[persona]

    await replica.ask(QUESTION, persona="service")
    [same] = await replica.ask(QUESTION, persona="service")
    versions["service"] = "2"
    [other] = await replica.ask(QUESTION, persona="service")

    assert (same.model, other.model) == ("cache", "main")
    assert len(replica.writer.asked) == 2
