"""Who talks to a person, as one replica of ingress has heard."""

from queqiao_common.events import encode
from queqiao_common.people import WithPerson, person_key
from queqiao_common.testing import ACCOUNT, CONV, inbound
from queqiao_ingress.people import MOST, People

from services.ingress.tests.memory_broker import Message

NOW_MS = 1_000_000


def told(until_ms, conv=CONV):
    subject = f"$KV.people.{person_key(ACCOUNT, conv)}"
    return Message(encode(WithPerson(until_ms=until_ms)), subject=subject)


def test_a_user_has_a_person_until_the_time_that_was_told():
    now = [NOW_MS]
    people = People(now_ms=lambda: now[0])
    people.hear(told(NOW_MS + 1))

    before = people.have(inbound())
    now[0] += 1

    assert (before, people.have(inbound())) == (True, False)


def test_what_is_told_again_prolongs_it_and_an_empty_write_ends_it():
    people = People(now_ms=lambda: NOW_MS)
    people.hear(told(NOW_MS - 1))
    people.hear(told(NOW_MS + 1))
    prolonged = people.have(inbound())

    people.hear(Message(b"", subject=told(0).subject))

    assert (prolonged, people.have(inbound())) == (True, False)


def test_what_a_newer_release_wrote_is_no_reason_to_stop(caplog):
    people = People(now_ms=lambda: NOW_MS)

    people.hear(Message(b"{", subject=told(0).subject))

    assert caplog.messages == ["person.unreadable"]
    assert not people.have(inbound())


def test_what_is_known_of_people_has_a_bound():
    """Memory must not grow with the users of a year."""
    people = People(now_ms=lambda: NOW_MS)
    for number in range(MOST + 1):
        people.hear(told(NOW_MS + 1, f"c_{number}"))

    assert not people.have(inbound(conv="c_0"))
    assert people.have(inbound(conv=f"c_{MOST}"))
