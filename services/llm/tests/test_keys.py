import pytest
from queqiao_common.settings import Model, Secret
from queqiao_llm.completion import ModelFailed, Reason
from queqiao_llm.keys import LONGEST_REST, REST_LIMITED, REST_REFUSED, Keys, rest_of

LIMITED = ModelFailed(Reason.RATE_LIMITED, status=429)
REFUSED = ModelFailed(Reason.REFUSED, status=401)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def keys_of(count, clock=None):
    secrets = tuple(Secret(f"key-{number}") for number in range(count))
    model = Model(id="main", base_url="http://model/v1", model="m", api_keys=secrets)
    return Keys([model], clock or Clock())


def test_the_least_used_key_comes_first():
    keys = keys_of(3)
    keys.use("main", 0)
    keys.use("main", 0)
    keys.use("main", 2)

    assert keys.ready("main") == [1, 2, 0]


def test_a_key_that_was_refused_rests_and_another_takes_its_place():
    clock = Clock()
    keys = keys_of(2, clock)

    assert keys.fail("main", 0, REFUSED)
    assert keys.ready("main") == [1]
    assert keys.rests() == {"main": 0.0}

    clock.now = REST_REFUSED
    assert keys.ready("main") == [0, 1]


def test_when_all_keys_rest_the_model_does():
    keys = keys_of(2)

    assert keys.fail("main", 0, LIMITED)
    assert not keys.fail("main", 1, ModelFailed(Reason.RATE_LIMITED, status=429, after=9.0))
    assert keys.rests() == {"main": REST_LIMITED}


def test_what_a_model_wishes_is_honoured_for_its_only_key_too():
    """Else every other turn would knock at the door of one who said when to come again."""
    keys = keys_of(1)

    keys.fail("main", 0, ModelFailed(Reason.RATE_LIMITED, status=429, after=9.0))

    assert keys.rests() == {"main": 9.0}


@pytest.mark.parametrize(
    ("failure", "single", "rest"),
    [
        (LIMITED, True, 0.0),
        (LIMITED, False, REST_LIMITED),
        (REFUSED, True, 0.0),
        (REFUSED, False, REST_REFUSED),
        (ModelFailed(Reason.REFUSED, status=403), False, REST_REFUSED),
        (ModelFailed(Reason.REFUSED, status=400), False, 0.0),
        (ModelFailed(Reason.SERVER_ERROR, status=500), False, 0.0),
        (ModelFailed(Reason.DISCONNECTED), False, 0.0),
    ],
)
def test_only_what_a_key_is_to_blame_for_makes_it_rest(failure, single, rest):
    assert rest_of(failure, single=single) == rest


def test_no_wish_is_honoured_for_longer_than_an_hour():
    keys = keys_of(1)

    keys.fail("main", 0, ModelFailed(Reason.RATE_LIMITED, status=429, after=86_400.0))

    assert keys.rests() == {"main": LONGEST_REST}
