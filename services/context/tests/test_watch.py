"""What is looked for when a timer may be lost."""

from queqiao_context.watch import AGAIN_MS, LIMIT, PATIENCE_MS, TIMES, Watch


def test_what_ended_in_time_is_never_looked_at():
    watch = Watch()
    watch.note("main.a", 1000)
    watch.note("main.a", None)

    assert watch.take(1000 + PATIENCE_MS) == []


def test_what_did_not_end_is_looked_at_after_its_own_timer_had_its_chance():
    watch = Watch()
    watch.note("main.a", 1000)

    assert watch.take(1000 + PATIENCE_MS - 1) == []
    assert watch.take(1000 + PATIENCE_MS) == ["main.a"]


def test_it_is_looked_at_a_few_times_and_then_forgotten():
    """A delivery that WeChat does not take for an hour must not be published again for ever."""
    watch = Watch()
    watch.note("main.a", 0)
    minutes = range(PATIENCE_MS, PATIENCE_MS + 20 * AGAIN_MS, AGAIN_MS)

    assert sum(watch.take(now) == ["main.a"] for now in minutes) == TIMES


def test_it_remembers_only_so_many():
    watch = Watch()
    for number in range(LIMIT + 10):
        watch.note(f"main.{number}", 0)

    assert len(watch.take(PATIENCE_MS)) == LIMIT
