"""What a broker answers to a publication, and whether it is worth trying again."""

import msgspec
import pytest
from queqiao_common.answers import Answer, Problem, Refused, StreamFull, WrongRevision, acknowledged
from queqiao_common.errors import BrokerUnavailable


@pytest.mark.parametrize(
    ("code", "err_code", "kind"),
    [
        (503, 10008, BrokerUnavailable),  # no leader right now
        (429, 10167, BrokerUnavailable),
        (400, 10005, BrokerUnavailable),  # a server of the cluster is away
        (409, 10158, BrokerUnavailable),  # the first try is still being stored
        (400, 10071, WrongRevision),
        (503, 10077, StreamFull),
        (400, 10052, Refused),
    ],
)
def test_only_what_no_repeat_can_cure_is_refused(code, err_code, kind):
    """An event that is refused is buried, and its user is told that nobody can answer."""
    problem = Problem(code=code, err_code=err_code, description="test")
    body = msgspec.json.encode(Answer(error=problem))

    with pytest.raises(kind):
        acknowledged("reply.ready.auto", body)
