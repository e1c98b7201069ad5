"""The table of streams and consumers keeps the promises that its numbers stand for."""

import pytest
from queqiao_common.provision import NET
from queqiao_common.topology import (
    CONSUMERS,
    EGRESS_PULLS,
    EGRESS_READY,
    STREAMS,
    Consumer,
)
from queqiao_common.worker import backoff

REMEMBERED = min(stream.duplicate_window for stream in STREAMS if stream.storage == "file")
SAFE_OTHERWISE = {
    EGRESS_READY: "repeated for as long as a user can be reached; claims and sent markers tell",
    EGRESS_PULLS: "repeated while WeChat refuses; the cursor, written page by page, tells",
}


def longest_redelivery(consumer: Consumer) -> float:
    """Seconds from the first attempt to the last one, each of which dies or fails at once.

    The broker's net is counted in; what beats for its event while it works is not repeated.
    """
    repeats = range(1, consumer.attempts + NET)
    return sum(max(consumer.ack_wait, backoff(attempt)) for attempt in repeats)


@pytest.mark.parametrize("consumer", CONSUMERS, ids=lambda consumer: consumer.name)
def test_a_replica_that_dies_once_buries_nothing(consumer):
    """Its events come again; a dead letter is for what failed again and again."""
    assert consumer.attempts >= 3


@pytest.mark.parametrize(
    "consumer",
    [consumer for consumer in CONSUMERS if consumer not in SAFE_OTHERWISE],
    ids=lambda consumer: consumer.name,
)
def test_what_an_attempt_published_is_still_recognised_when_the_last_one_repeats_it(consumer):
    """A stream that has forgotten the id stores the event once more: said twice."""
    assert longest_redelivery(consumer) < REMEMBERED


def test_only_one_consumer_needs_more_than_what_streams_remember():
    """Beside what is said above, so that a change of the numbers is noticed."""
    late = [one for one in CONSUMERS if longest_redelivery(one) >= REMEMBERED]

    assert late == [EGRESS_READY]
