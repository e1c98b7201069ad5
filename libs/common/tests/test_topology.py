"""The table of streams and consumers keeps the promises that its numbers stand for."""

import pytest
from queqiao_common.topology import CONSUMERS


@pytest.mark.parametrize("consumer", CONSUMERS, ids=lambda consumer: consumer.name)
def test_a_replica_that_dies_once_buries_nothing(consumer):
    """Its events come again; a dead letter is for what failed again and again."""
    assert consumer.attempts >= 3
