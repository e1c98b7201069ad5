import pytest
from queqiao_common.settings import Budgets, Ceiling, PersonaBudget, Tier
from queqiao_common.testing import CONV
from queqiao_llm.budget import allowance, over_allowance, over_ceiling
from queqiao_llm.usage import Tally, UserDay

BUDGETS = Budgets(
    enabled=True,
    questions=3,
    tokens=1000,
    tiers=(
        Tier(id="vip", users=(CONV,), questions=30),
        Tier(id="inner", accounts=("staff",)),
    ),
    personas={"tutor": PersonaBudget(questions=1, tokens=500)},
    ceiling=Ceiling(tokens=10_000, cost=2.5),
    accounts={"rich": Ceiling(cost=99.0)},
)


def judged(conv="c_other", account="main", persona="assistant", **personas):
    day = UserDay(personas={name: Tally(*tally) for name, tally in personas.items()})
    refusal = over_allowance(BUDGETS, account=account, conv=conv, persona=persona, day=day)
    return refusal and refusal.reason


def test_the_first_tier_that_fits_counts():
    assert allowance(BUDGETS, "main", CONV).questions == 30
    assert allowance(BUDGETS, "staff", "c_other").tier == "inner"
    assert allowance(BUDGETS, "main", "c_other").tier == "default"


@pytest.mark.parametrize(
    ("had", "reason"),
    [
        ((2, 400, 400), None),
        ((3, 0, 0), "user_questions"),
        ((1, 600, 400), "user_tokens"),
    ],
)
def test_a_user_is_refused_once_all_is_used_up(had, reason):
    assert judged(assistant=had) == reason


def test_another_tier_may_have_more():
    assert judged(conv=CONV, assistant=(29, 10**6, 0)) is None
    assert judged(conv=CONV, assistant=(30,)) == "user_questions"
    assert judged(account="staff", assistant=(10**6, 10**9, 0)) is None


def test_a_persona_has_a_budget_of_its_own():
    assert judged(persona="tutor", tutor=(1,)) == "persona_questions"
    assert judged(persona="tutor", tutor=(0, 400, 100)) == "persona_tokens"
    assert judged(persona="assistant", tutor=(1,)) is None


def test_a_text_tells_what_is_used_up():
    """Who is told to come back tomorrow should not find out that another topic would have done."""
    day = UserDay(personas={"tutor": Tally(1)})
    refusal = over_allowance(BUDGETS, account="main", conv="c_1", persona="tutor", day=day)

    assert refusal.text == BUDGETS.persona_text


@pytest.mark.parametrize(
    ("account", "spent", "reason"),
    [
        ("main", Tally(9, 9_000, 999, 2_499_999), None),
        ("main", Tally(0, 9_000, 1_000, 0), "account_tokens"),
        ("main", Tally(0, 0, 0, 2_500_000), "account_cost"),
        ("rich", Tally(0, 9_000, 9_000, 2_500_000), None),
        ("rich", Tally(0, 0, 0, 99_000_000), "account_cost"),
    ],
)
def test_an_account_has_a_ceiling(account, spent, reason):
    refusal = over_ceiling(BUDGETS, account, spent)

    assert (refusal and refusal.reason) == reason


def test_nothing_is_refused_that_nobody_limits():
    day = UserDay(personas={"assistant": Tally(10**6, 10**9)})

    assert not over_allowance(Budgets(), account="a", conv="c", persona="assistant", day=day)
    assert not over_ceiling(Budgets(), "a", Tally(10**6, 10**9, 10**9, 10**12))
