"""Reading the configuration file."""

import msgspec
import pytest
from queqiao_simulator.settings import AccountSettings, read

ACCOUNT = '[[accounts]]\nid = "{id}"\nappid = "{appid}"\ntoken = "bridge"\n'


def written(path, text):
    file = path / "simulator.toml"
    file.write_text(text)
    return file


def test_defaults_are_the_platform(tmp_path):
    settings = read(written(tmp_path, ACCOUNT.format(id="a", appid="wx1")))

    assert settings.push.answer_timeout == 5.0
    assert settings.push.deliveries == 3
    assert settings.quota.message_count == 5
    assert settings.users == ("小鹊", "阿桥", "小明")


def test_an_unknown_key_is_refused(tmp_path):
    with pytest.raises(msgspec.ValidationError, match="answer_timout"):
        read(written(tmp_path, "accounts = []\n[push]\nanswer_timout = 1\n"))


def test_two_accounts_need_two_ids(tmp_path):
    text = ACCOUNT.format(id="a", appid="wx1") + ACCOUNT.format(id="a", appid="wx2")

    with pytest.raises(ValueError, match="`id` must be unique"):
        read(written(tmp_path, text))


def test_safe_mode_needs_a_key(tmp_path):
    text = ACCOUNT.format(id="a", appid="wx1") + 'mode = "safe"\n'

    with pytest.raises(ValueError, match="43-character key"):
        read(written(tmp_path, text))


@pytest.mark.parametrize(
    ("kind", "verified", "may_send"),
    [("service", None, True), ("subscription", None, False), ("subscription", True, True)],
)
def test_who_may_send_follows_from_kind_and_verification(kind, verified, may_send):
    account = AccountSettings(id="a", appid="wx1", token="bridge", kind=kind, verified=verified)

    assert account.may_send is may_send


def test_the_original_id_is_derived_from_the_appid():
    account = AccountSettings(id="a", appid="wx0123456789abcdef", token="bridge")

    assert account.gh_id == "gh_456789abcdef"


def test_an_app_a_desk_and_a_bot_may_share_a_company(tmp_path):
    key = 'aes_key = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"\n'
    kinds = ("wecom", "wecom_kf", "wecom_bot")
    text = "".join(
        ACCOUNT.format(id=kind, appid="ww1") + f'kind = "{kind}"\n' + key for kind in kinds
    )

    accounts = read(written(tmp_path, text)).accounts

    assert [account.receive_id for account in accounts] == ["ww1", "ww1", ""]
    assert {account.sealing for account in accounts} == {"safe"}
    assert accounts[1].kfid == "wk_wecom_kf"


@pytest.mark.parametrize(
    ("kind", "same", "message"),
    [
        ("wecom", "agent_id = 7", "agent_id"),
        ("wecom_kf", 'open_kfid = "wk1"', "open_kfid"),
    ],
)
def test_two_wecom_accounts_need_to_differ(tmp_path, kind, same, message):
    key = 'aes_key = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"\n'
    text = "".join(
        ACCOUNT.format(id=name, appid="ww1") + f'kind = "{kind}"\n{same}\n{key}' for name in "ab"
    )

    with pytest.raises(ValueError, match=message):
        read(written(tmp_path, text))


def test_wecom_always_needs_a_key(tmp_path):
    with pytest.raises(ValueError, match="wecom_bot needs a 43-character key"):
        read(written(tmp_path, ACCOUNT.format(id="a", appid="x") + 'kind = "wecom_bot"\n'))
