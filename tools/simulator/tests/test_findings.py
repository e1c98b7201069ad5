"""What a test would complain about."""

import pytest
from queqiao_simulator.accounts import Account
from queqiao_simulator.findings import findings
from queqiao_simulator.settings import AccountSettings, Settings
from queqiao_simulator.transcript import Call, Entry

SECRET = "a-secret-that-protects-nothing"
SETTINGS = AccountSettings(id="a", appid="wx1", token="bridge", secret=SECRET)


@pytest.fixture
def account():
    return Account(SETTINGS, Settings(accounts=(SETTINGS,)))


def asked(number):
    return Entry(id=number, at=0, who="user", text="?", msgid=f"m{number}")


def answered(number, to="", text="好", **more):
    return Entry(
        id=number, at=0, who="account", text=text, via="passive", in_reply_to=to or None, **more
    )


def rules(account, *entries, calls=(), label=""):
    account.conversation("小鹊").entries.extend(entries)
    return [one.rule for one in findings(account, (SETTINGS,), calls, label)]


def test_a_good_chat_gives_no_cause(account):
    chat = (asked(1), answered(2, "m1", "好（AI 生成）"), asked(3), answered(4, "m3", ai=True))

    assert rules(account, *chat, label="AI 生成") == []


def test_two_answers_to_one_message_are_found(account):
    assert rules(account, asked(1), answered(2, "m1"), answered(3, "m1")) == ["shown_twice"]


def test_answers_in_the_wrong_order_are_found(account):
    chat = (asked(1), asked(2), answered(3, "m2"), answered(4, "m1"))

    assert rules(account, *chat) == ["out_of_order"]


def test_a_text_without_a_label_is_found_unless_a_person_wrote_it(account):
    person = answered(2)
    person.via = "agent"

    assert rules(account, answered(1), person, label="AI 生成") == ["unlabelled"]


def test_a_secret_in_a_chat_is_found(account):
    assert rules(account, answered(1, text=f"key={SECRET}")) == ["secret"]


def test_a_message_after_the_window_is_found(account):
    calls = [
        Call(at=0, path="/send", account="a", errcode=45015, ms=1, openid="o"),
        Call(at=0, path="/send", account="a", errcode=45047, ms=1, fault="errcode"),
        Call(at=0, path="/send", account="b", errcode=45015, ms=1),
    ]

    assert rules(account, calls=calls) == ["after_window"]


async def test_findings_are_read_over_http(stage):
    stage.bot.replies("没有标识")
    await stage.say()
    await stage.settled()
    query = {"account": "main", "label": "AI 生成"}

    [found] = await stage.control("GET", "/findings", params=query)

    assert (found["rule"], found["user"]) == ("unlabelled", "小鹊")
