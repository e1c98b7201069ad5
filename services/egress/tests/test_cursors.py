"""Who pulls, and up to where: the document and its changes, in any order."""

from functools import partial

from hypothesis import given
from hypothesis import strategies as st
from queqiao_common.testing import NOW_MS
from queqiao_egress.cursors import (
    LEASE_MS,
    MARGIN_MS,
    REMEMBERED,
    Cursor,
    advanced,
    announced,
    finished,
    known_peer,
    released,
    taken,
)


def test_only_one_holds_the_lease_until_it_ends():
    held, _ = taken(None, holder="one", now_ms=NOW_MS)

    assert taken(held, holder="two", now_ms=NOW_MS + LEASE_MS - 1)[1].holder == "one"
    assert taken(held, holder="two", now_ms=NOW_MS + LEASE_MS)[1].holder == "two"
    assert taken(held, holder="one", now_ms=NOW_MS + 5)[1].lease_until_ms == NOW_MS + 5 + LEASE_MS


def test_whoever_lost_the_lease_moves_the_cursor_no_more():
    held, _ = taken(None, holder="two", now_ms=NOW_MS)
    move = partial(advanced, next_cursor="c9", msgids=(), now_ms=NOW_MS)

    assert move(held, holder="one") == (None, False)
    assert move(held, holder="two")[0].cursor == "c9"
    assert released(held, holder="one") == (None, None)


def test_an_announcement_while_somebody_pulls_makes_them_go_round_again():
    cursor, first = announced(None, token="t1", received_ms=NOW_MS)
    cursor, _ = taken(cursor, holder="one", now_ms=NOW_MS)
    cursor, second = announced(cursor, token="t2", received_ms=NOW_MS + 9)

    cursor, is_done = finished(cursor, holder="one", upto=first)
    assert not is_done
    assert cursor.token == "t2"
    cursor, is_done = finished(cursor, holder="one", upto=second)
    assert is_done
    assert (cursor.done, cursor.holder) == (2, "")


def test_the_first_announcement_says_from_when_on_messages_are_answered():
    """Without a cursor WeCom lists three days: nobody wants answers to the day before yesterday."""
    cursor, _ = announced(None, token="t", received_ms=NOW_MS)
    later, _ = announced(cursor, token="t", received_ms=NOW_MS + 10**6)

    assert cursor.since_ms == later.since_ms == NOW_MS - MARGIN_MS


def test_what_is_remembered_is_bounded():
    held = Cursor(holder="one", seen=tuple(f"m{n}" for n in range(REMEMBERED)))
    moved, _ = advanced(held, holder="one", next_cursor="", msgids=["new"], now_ms=NOW_MS)

    assert len(moved.seen) == REMEMBERED
    assert moved.seen[-1] == "new"


def test_a_peer_is_remembered_once():
    peers, _ = known_peer(None, "wk1")

    assert known_peer(peers, "wk1") == (None, None)
    assert known_peer(peers, "wk2")[0].open_kfids == ("wk1", "wk2")


@given(st.lists(st.sampled_from(["announce", "take one", "take two", "finish one", "tick"])))
def test_no_announcement_is_ever_called_done_before_a_pull_began_after_it(steps):
    cursor, now, began = None, NOW_MS, {}
    for step in steps:
        if step == "announce":
            cursor, _ = announced(cursor, token="t", received_ms=now)
        elif step.startswith("take"):
            new, held = taken(cursor, holder=step[5:], now_ms=now)
            cursor = new or cursor
            if held.holder == step[5:]:
                began[held.holder] = held.wanted
        elif step == "finish one" and cursor and cursor.holder == "one" and "one" in began:
            cursor = finished(cursor, holder="one", upto=began["one"])[0]
            assert cursor.done <= began["one"]
        else:
            now += LEASE_MS // 2
