"""Which calls and pushes a rule strikes."""

import msgspec
import pytest
from queqiao_simulator.faults import Fault, Faults, companions, decode, read


def faults(*rules):
    registry = Faults()
    registry.replace(rules)
    return registry


def test_a_rule_strikes_its_account_and_path_as_often_as_it_says():
    registry = faults(Fault(kind="errcode", account="a", path="/send", count=2))

    strikes = [
        registry.of_call(account, path)
        for account, path in [("b", "/send"), ("a", "/token"), *[("a", "/send")] * 3]
    ]

    assert [strike is not None for strike in strikes] == [False, False, True, True, False]


def test_chance_is_the_same_for_the_same_seed():
    def struck(seed):
        registry = faults(Fault(kind="http", probability=0.5, seed=seed))
        return [registry.of_call("a", "/") is not None for _ in range(50)]

    assert struck(7) == struck(7) != struck(8)
    assert 5 < sum(struck(7)) < 45


def test_push_rules_and_call_rules_do_not_mix():
    registry = faults(Fault(kind="duplicate", user="小鹊"), Fault(kind="delay"))

    assert registry.of_call("a", "/").kind == "delay"
    assert registry.of_push("a", ("oUser", "小鹊")).kind == "duplicate"
    assert registry.of_push("a", ("oUser", "阿桥")) is None


def test_rules_come_as_a_list_or_in_an_object():
    assert decode(b'[{"kind": "delay"}]') == decode(b'{"faults": [{"kind": "delay"}]}')


def test_a_misspelt_rule_is_refused():
    with pytest.raises(msgspec.ValidationError):
        decode(b'[{"kind": "delay", "second": 1}]')


TOML = '[[faults]]\nkind = "old_key"\ncount = 1\n\n[[faults]]\nkind = "burst"\ntimes = 2\n'


def test_rules_come_from_a_file_too(tmp_path):
    file = tmp_path / "faults.toml"
    file.write_text(TOML)

    assert [rule.kind for rule in read(file)] == ["old_key", "burst"]
    assert decode(TOML.encode()) == read(file)


def test_a_misspelt_file_is_refused(tmp_path):
    file = tmp_path / "faults.toml"
    file.write_text('[[fault]]\nkind = "burst"\n')

    with pytest.raises(msgspec.ValidationError):
        read(file)


def test_some_faults_know_their_call():
    registry = faults(Fault(kind="kf_empty_page"))

    assert registry.of_call("a", "/cgi-bin/token") is None
    assert registry.of_call("a", "/cgi-bin/kf/sync_msg").kind == "kf_empty_page"


def test_some_faults_send_more():
    fields = {"ToUserName": "gh", "FromUserName": "o", "CreateTime": 1, "MsgId": 5}

    assert companions(Fault(kind="burst", times=3), fields) == [fields] * 3
    assert companions(Fault(kind="duplicate"), fields) == companions(None, fields) == []
    [event] = companions(Fault(kind="event_collision"), fields)
    assert (event["FromUserName"], event["CreateTime"], event["Event"]) == ("o", 1, "VIEW")
    assert "MsgId" not in event
