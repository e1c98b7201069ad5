from queqiao_ingress.sparing import Sparing


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_a_flood_leaves_a_few_lines_and_a_number():
    clock = Clock()
    lines = Sparing(per_second=2, now=clock)

    first = [lines.admits() for _ in range(5)]
    clock.seconds += 1
    second = lines.admits()

    assert first == [True, True, False, False, False]
    assert second
    assert (lines.kept_back(), lines.kept_back()) == (3, 0)
