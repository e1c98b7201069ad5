"""What must wait is not buried for waiting."""

import pytest
from queqiao_common.errors import Postponed, TransientError
from queqiao_common.testing import published, received, screened
from queqiao_common.topology import CONTEXT_SCREENED
from queqiao_context.postponing import ROUNDS, patient, renewed

LAST = CONTEXT_SCREENED.attempts


def failing(error):
    async def handle(_):
        raise error
        yield

    return patient(CONTEXT_SCREENED, handle)


async def test_what_is_postponed_waits_at_the_broker_for_as_long_as_it_has_attempts():
    with pytest.raises(Postponed):
        await published(failing(Postponed("later"))(received(screened(), attempt=LAST - 1)))


async def test_on_its_last_attempt_it_begins_anew():
    """Half of the replicas being newer, one event in 256 met eight old ones and was buried."""
    event = screened()

    [again] = await published(failing(Postponed("later"))(received(event, attempt=LAST)))
    [more] = await published(failing(Postponed("later"))(received(again, attempt=LAST)))

    assert (again.id, more.id) == (f"{event.id}~1", f"{event.id}~2")
    assert (again.sequence, again.message) == (event.sequence, event.message)


async def test_what_failed_is_not_postponed():
    with pytest.raises(TransientError):
        await published(failing(TransientError("no"))(received(screened(), attempt=LAST)))


async def test_what_nobody_ever_handles_is_buried_in_the_end():
    """After going back to an older release: somebody must hear of it."""
    event = screened(id=f"scr:x~{ROUNDS}")

    assert renewed(event) is None
    with pytest.raises(Postponed):
        await published(failing(Postponed("later"))(received(event, attempt=LAST)))
