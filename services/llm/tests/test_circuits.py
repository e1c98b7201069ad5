from queqiao_common.settings import Model
from queqiao_llm.circuits import Circuits
from queqiao_llm.completion import ModelFailed, Reason

DEAD = ModelFailed(Reason.SERVER_ERROR, status=500)


def model(name):
    return Model(id=name, base_url="http://m/v1", model=name, breaker_failures=1, breaker_pause=15)


A, B = model("a"), model("b")


def test_a_route_is_down_when_all_its_models_are_and_until_one_may_be_tried_again():
    """Operators see it as a mode of the service: users read cached answers and apologies then."""
    now = [100.0]
    circuits = Circuits([A, B], lambda: now[0])
    circuits.fail("a", DEAD)
    assert not circuits.are_open([A, B])
    assert circuits.are_open([A])

    circuits.fail("b", DEAD)
    assert circuits.are_open([A, B])

    now[0] += 15
    assert not circuits.are_open([A, B])


def test_a_model_that_was_not_even_asked_is_not_to_blame():
    circuits = Circuits([A], lambda: 0.0)

    circuits.fail("a", ModelFailed(Reason.BUSY))
    circuits.fail("a", ModelFailed(Reason.DEADLINE))

    assert not circuits.are_open([A])
