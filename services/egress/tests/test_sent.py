"""The marker: one step at a time, and never backwards."""

from queqiao_egress import sent

CARRIES = ("t.1:40",)


def claim(marker=None, carries=CARRIES, *, owner="one"):
    return sent.claimed(marker, carries, owner=owner, now_ms=7)


def test_a_part_is_claimed_then_accepted():
    claimed = claim()
    accepted = sent.accepted(claimed)

    assert (claimed.sending, claimed.parts, claimed.since_ms) == (CARRIES, 0, 7)
    assert (accepted.sending, accepted.parts, accepted.carried) == ((), 1, CARRIES)
    assert claimed.step < accepted.step < claim(accepted).step


def test_a_part_that_was_not_accepted_is_as_if_it_had_never_been_claimed():
    released = sent.released(claim())

    assert (released.sending, released.carried, released.used) == ((), (), 0)


def test_a_doubtful_part_is_sent_again_or_counts_as_sent():
    again = sent.doubtful(claim(), "resend")
    dropped = sent.doubtful(claim(), "drop")

    assert (again.carried, again.parts, again.used) == ((), 0, 1)
    assert (dropped.carried, dropped.parts, dropped.used) == (CARRIES, 1, 1)


def test_a_finished_delivery_says_how_it_ended():
    assert sent.finished(claim(), errcode=45015).errcode == 45015
    assert sent.finished(sent.accepted(claim())).done


def test_whoever_has_come_further_is_believed():
    claimed = claim()
    accepted = sent.accepted(claimed)

    assert sent.latest(claimed, accepted) == sent.latest(accepted, claimed) == accepted
    assert sent.latest(None, claimed) == sent.latest(claimed, None) == claimed
    assert sent.latest(None, None) is None


def test_a_process_that_was_overtaken_may_not_write():
    ours = sent.accepted(claim())
    theirs = claim(sent.doubtful(claim(), "resend"), owner="two")

    assert not sent.may_follow(theirs, ours)
    assert not sent.may_follow(claim(owner="two"), claim(owner="one"))
    assert sent.may_follow(claim(), ours)
    assert sent.may_follow(ours, ours)
    assert sent.may_follow(None, ours)


def test_what_another_process_wrote_is_later_than_what_this_one_could_not_write():
    ours = sent.finished(sent.accepted(claim()))
    theirs = claim(sent.doubtful(claim(), "resend"), owner="two")

    assert theirs.step <= ours.step
    assert sent.latest(theirs, ours) == theirs
