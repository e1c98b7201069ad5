import pytest
from queqiao_wechat.errcodes import ERRCODES, WECOM, Action, lookup

DOCUMENTED = [
    *(-1, 0, 40001, 40014, 42001, 41001, 40002, 40013, 40125, 41002, 41004, 40164, 61004),
    *(89501, 89503, 89506, 89507, 40243, 50004, 50007, 40003, *range(40004, 40010), 40012, 40033),
    *(40037, 40129, 43002, 43004, 43019, 43101, 43104, 44002, 44004, 44991, *range(45001, 45009)),
    *(45009, 45011, 45015, 45047, 45072, 45080, 45081, 45168, 47001, 47003, 48001, 48002, 48004),
    *(48006, 50002, 50005, 61010, *range(65400, 65415), 70000),
    *(40010, *range(40015, 40029), 41005, 46003),  # media and menus
]


def test_every_documented_number_is_known():
    assert set(ERRCODES) == set(DOCUMENTED)
    assert all(number == entry.code for number, entry in ERRCODES.items())


@pytest.mark.parametrize(
    ("code", "action"),
    [
        (0, Action.OK),
        (-1, Action.RETRY),
        (42001, Action.REFRESH_TOKEN),
        (45015, Action.DROP),
        (45047, Action.DROP),
        (45002, Action.SHORTEN),
        (45009, Action.WAIT_DAY),
        (45011, Action.WAIT_MINUTE),
        (48001, Action.CONFIG),
        (45081, Action.IGNORE),
    ],
)
def test_a_number_says_what_to_do(code, action):
    assert lookup(code).action is action


def test_an_unknown_number_is_retried():
    """Dropping would lose an answer to a number WeChat added yesterday."""
    assert lookup(99999).action is Action.RETRY
    assert lookup(99999).code == 99999


@pytest.mark.parametrize(
    ("code", "action"),
    [
        (40001, Action.CONFIG),  # a token at WeChat's, the secret at WeCom's
        (45009, Action.WAIT_MINUTE),  # a day at WeChat's
        (48002, Action.CONFIG),  # the user's refusal at WeChat's
        (42001, Action.REFRESH_TOKEN),
        (95002, Action.DROP),
        (95018, Action.DROP),
    ],
)
def test_a_number_means_something_else_to_wecom(code, action):
    assert lookup(code, WECOM).action is action
    assert all(number == entry.code for number, entry in WECOM.items())
