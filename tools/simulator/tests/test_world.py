"""What a reset keeps, and what the day's and the company's limits refuse."""

import pytest
from msgspec.structs import replace
from queqiao_simulator.accounts import Account, id_of
from queqiao_simulator.app import create_app
from queqiao_simulator.faults import Fault
from queqiao_simulator.refusals import Refused
from queqiao_simulator.rules import DailyRules
from queqiao_simulator.settings import AccountSettings

NOW = 1_767_225_600.0


async def test_faults_of_the_command_line_survive_a_reset(settings):
    world = create_app(settings, faults=[Fault(kind="burst", fired=3)]).state.world
    world.faults.replace(())

    await world.reset()

    assert world.faults.listed() == [Fault(kind="burst")]


def test_a_day_has_a_quota_of_each_kind_of_call(settings):
    account = Account(settings.accounts[0], replace(settings, daily=DailyRules(user_info=1)))
    account.take("user_info", NOW)

    with pytest.raises(Refused) as caught:
        account.take("user_info", NOW)
    account.take("menu_create", NOW)
    account.clear_quota()
    account.take("user_info", NOW)

    assert caught.value.errcode == 45009


@pytest.mark.parametrize(
    ("kind", "user", "expected"),
    [
        ("wecom", "zhangsan", "zhangsan"),
        ("wecom_kf", "wmKnown", "wmKnown"),
        ("service", "o" + "x" * 27, "o" + "x" * 27),
    ],
)
def test_an_id_may_be_given_instead_of_a_name(kind, user, expected):
    account = AccountSettings(id="a", appid="wx1", token="bridge", kind=kind)

    assert id_of(account, user) == expected


@pytest.mark.parametrize(
    ("kind", "prefix", "length"),
    [("wecom", "u_", 18), ("wecom_kf", "wm", 32), ("service", "o", 28)],
)
def test_names_become_ids_of_the_kind(kind, prefix, length):
    account = AccountSettings(id="a", appid="wx1", token="bridge", kind=kind)
    found = id_of(account, "小鹊")

    assert found.startswith(prefix)
    assert len(found) == length
    assert found == id_of(account, "小鹊") != id_of(account, "阿桥")
