"""A dictionary that forgets."""

from hypothesis import given
from hypothesis import strategies as st
from queqiao_simulator.keeping import Kept


@given(st.lists(st.text(max_size=2), max_size=30), st.integers(1, 5))
def test_the_newest_are_kept(names, limit):
    kept = Kept(limit)
    for name in names:
        kept.keep(name, name)

    assert len(kept) == min(limit, len(set(names)))
    assert not names or names[-1] in kept
