"""The two token families (protocol reference 5.1)."""

import itertools

import pytest
from queqiao_simulator.settings import TokenRules
from queqiao_simulator.tokens import (
    DAILY_LIMIT,
    EXPIRED,
    MINUTE_LIMIT,
    MISSING,
    OK,
    REMEMBERED,
    SUPERSEDED,
    UNKNOWN,
    TokenBook,
)

NOW = 1_767_225_600.0


@pytest.fixture
def book():
    return book_with()


def book_with(**rules):
    numbers = itertools.count()
    return TokenBook(TokenRules(**rules), mint=lambda: f"token-{next(numbers)}")


def test_a_new_plain_token_lets_the_old_one_live_five_minutes(book):
    old, new = book.plain(NOW), book.plain(NOW + 10)

    assert old.value != new.value
    assert book.check(old.value, NOW + 309) == OK
    assert book.check(old.value, NOW + 310) == SUPERSEDED
    assert book.check(new.value, NOW + 310) == OK


def test_a_stable_token_stays_until_its_last_five_minutes(book):
    first = book.stable(NOW)
    same = book.stable(NOW + 6899)
    renewed = book.stable(NOW + 6900)

    assert first.value == same.value != renewed.value
    assert (first.expires_in, same.expires_in, renewed.expires_in) == (7200, 301, 7200)
    assert book.check(first.value, NOW + 7199) == OK
    assert book.check(first.value, NOW + 7200) != OK


def test_an_expired_token_says_so(book):
    token = book.plain(NOW)

    assert book.check(token.value, NOW + 7200) == EXPIRED


def test_a_forced_renewal_kills_the_old_token_at_once(book):
    old = book.stable(NOW)
    new = book.stable(NOW + 40, force=True)

    assert book.check(old.value, NOW + 40) == SUPERSEDED
    assert book.check(new.value, NOW + 40) == OK


def test_forced_renewals_are_30_seconds_apart(book):
    book.stable(NOW)
    first = book.stable(NOW + 40, force=True)

    assert book.stable(NOW + 69, force=True).value == first.value
    assert book.stable(NOW + 70, force=True).value != first.value


def test_forced_renewals_are_twenty_a_day(book):
    book.stable(NOW)
    answers = [book.stable(NOW + 30 * n, force=True) for n in range(1, 22)]

    assert [answer.errcode for answer in answers] == [OK] * 20 + [DAILY_LIMIT]


def test_the_families_do_not_disturb_each_other(book):
    stable, plain = book.stable(NOW), book.plain(NOW)
    book.plain(NOW + 1)
    book.stable(NOW + 40, force=True)

    assert book.check(stable.value, NOW + 40) == SUPERSEDED
    assert book.check(plain.value, NOW + 40) == OK


def test_token_requests_are_counted():
    book = book_with(plain_per_day=1, stable_per_minute=1)
    book.plain(NOW)
    book.stable(NOW)

    assert book.plain(NOW).errcode == DAILY_LIMIT
    assert book.stable(NOW).errcode == MINUTE_LIMIT
    assert book.stable(NOW + 60).errcode == OK

    book.clear_quota()

    assert book.plain(NOW).errcode == OK


def test_a_revoked_token_is_replaced(book):
    old = book.stable(NOW)
    book.revoke(old.value, NOW + 1)

    assert book.check(old.value, NOW + 1) == SUPERSEDED
    assert book.stable(NOW + 1).value != old.value


def test_missing_and_foreign_tokens(book):
    assert book.check(None, NOW) == MISSING
    assert book.check("somebody's", NOW) == UNKNOWN


def test_old_tokens_are_forgotten_but_not_one_in_use():
    book = book_with(plain_per_day=10_000)
    stable = book.stable(NOW)
    first = book.plain(NOW)
    for _ in range(REMEMBERED):
        book.plain(NOW)

    assert not book.owns(first.value)
    assert book.check(stable.value, NOW) == OK
