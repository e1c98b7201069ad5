"""WeChat's error numbers: what each means, and what to do about it (protocol reference 5.3).

The numbers are WeChat's; the actions are our judgement. Match numbers, never texts: an `errmsg`
differs between servers and ends with the id of the request.
"""

from collections.abc import Mapping
from enum import StrEnum, auto
from types import MappingProxyType

from msgspec import Struct


class Action(StrEnum):
    """What the caller should do about an answer."""

    OK = auto()
    RETRY = auto()  # again, with a growing delay
    REFRESH_TOKEN = auto()  # renew the access_token, then once more
    DROP = auto()  # never again: the user is gone or has refused, or the window is closed
    WAIT_MINUTE = auto()  # the quota of this minute is used
    WAIT_DAY = auto()  # the quota of today is used
    SHORTEN = auto()  # never again as it is: too long or too large
    CONFIG = auto()  # an operator must act; until then nothing will work
    BUG = auto()  # our request is wrong
    IGNORE = auto()  # no harm done


class ErrCode(Struct, frozen=True):
    """One number of WeChat's."""

    code: int
    meaning: str
    action: Action


def lookup(code: int, codes: Mapping[int, ErrCode] | None = None) -> ErrCode:
    """Return what is known of a number, in WeChat's table or another.

    A number that is not in the table is to be retried: WeChat has refused, so nothing was sent
    twice, and the bound on attempts turns a lasting refusal into a dead letter that people see.
    """
    table = ERRCODES if codes is None else codes
    return table.get(code) or ErrCode(code, "not in our table", Action.RETRY)


def _table(*entries: ErrCode) -> Mapping[int, ErrCode]:
    return MappingProxyType({entry.code: entry for entry in entries})


ERRCODES: Mapping[int, ErrCode] = _table(
    # WeChat may have acted all the same, so a repeat can show a message twice.
    ErrCode(-1, "system busy", Action.RETRY),
    ErrCode(0, "ok", Action.OK),
    ErrCode(40001, "access_token invalid or superseded, or wrong AppSecret", Action.REFRESH_TOKEN),
    ErrCode(40002, "grant_type wrong", Action.CONFIG),
    ErrCode(40003, "openid unknown to this account", Action.DROP),
    ErrCode(40004, "media type wrong", Action.DROP),
    ErrCode(40005, "file type wrong", Action.DROP),
    ErrCode(40006, "file size wrong", Action.DROP),
    ErrCode(40007, "media_id wrong or expired", Action.DROP),
    ErrCode(40008, "msgtype wrong", Action.DROP),
    ErrCode(40009, "picture too large", Action.DROP),
    ErrCode(40012, "thumbnail too large", Action.DROP),
    ErrCode(40010, "voice too large", Action.DROP),
    ErrCode(40013, "appid wrong", Action.CONFIG),
    ErrCode(40014, "access_token invalid", Action.REFRESH_TOKEN),
    *(
        ErrCode(code, "menu: a count, a name, a key or a URL is wrong", Action.BUG)
        for code in range(40015, 40029)
    ),
    ErrCode(40033, "body contains \\u escapes instead of UTF-8", Action.BUG),
    ErrCode(40037, "template_id wrong", Action.CONFIG),
    ErrCode(40125, "AppSecret wrong", Action.CONFIG),
    ErrCode(40129, "scene of the content check wrong", Action.BUG),
    ErrCode(40164, "our IP address is not on the allowlist", Action.CONFIG),
    ErrCode(40243, "AppSecret frozen", Action.CONFIG),
    ErrCode(41001, "access_token missing", Action.BUG),
    ErrCode(41002, "appid missing", Action.CONFIG),
    ErrCode(41004, "AppSecret missing", Action.CONFIG),
    ErrCode(42001, "access_token expired", Action.REFRESH_TOKEN),
    ErrCode(41005, "media are missing", Action.BUG),
    ErrCode(43002, "must be a POST", Action.BUG),
    ErrCode(43004, "user does not follow the account", Action.DROP),
    ErrCode(43019, "user is on the account's blocklist", Action.DROP),
    ErrCode(43101, "user has not subscribed to the template, or the grant is used", Action.DROP),
    ErrCode(43104, "openid belongs to another appid", Action.BUG),
    ErrCode(44002, "POST without a body", Action.BUG),
    ErrCode(44004, "text is empty", Action.BUG),
    ErrCode(44991, "content checks of this minute used", Action.WAIT_MINUTE),
    ErrCode(45001, "media too large", Action.SHORTEN),
    ErrCode(45002, "text too long", Action.SHORTEN),
    ErrCode(45003, "title too long", Action.SHORTEN),
    ErrCode(45004, "description too long", Action.SHORTEN),
    ErrCode(45005, "link too long", Action.SHORTEN),
    ErrCode(45006, "picture link too long", Action.SHORTEN),
    ErrCode(45007, "voice too long", Action.SHORTEN),
    ErrCode(45008, "too many articles", Action.SHORTEN),
    ErrCode(45009, "calls of today used", Action.WAIT_DAY),
    ErrCode(45011, "calls of this minute used", Action.WAIT_MINUTE),
    ErrCode(45015, "48 hours have passed, or the user has unfollowed", Action.DROP),
    ErrCode(45047, "messages allowed for this trigger used", Action.DROP),
    ErrCode(45072, "typing command wrong", Action.IGNORE),
    ErrCode(45080, "typing without an interaction in the last 30 s", Action.IGNORE),
    ErrCode(45081, "typing already shown", Action.IGNORE),
    ErrCode(45168, "subscription message hits a forbidden word", Action.DROP),
    ErrCode(46003, "there is no menu", Action.DROP),
    ErrCode(47001, "JSON malformed", Action.BUG),
    ErrCode(47003, "template argument wrong", Action.BUG),
    ErrCode(48001, "account type may not call this API", Action.CONFIG),
    ErrCode(48002, "user refuses messages", Action.DROP),
    ErrCode(48004, "API banned for this account", Action.CONFIG),
    ErrCode(48006, "quota resets of this month used", Action.CONFIG),
    ErrCode(50002, "user restricted", Action.DROP),
    ErrCode(50004, "account may not fetch tokens", Action.CONFIG),
    ErrCode(50005, "user does not follow the account", Action.DROP),
    ErrCode(50007, "account frozen", Action.CONFIG),
    ErrCode(61004, "our IP address is not registered", Action.CONFIG),
    ErrCode(61010, "user has not used the Mini Program in the last 2 hours", Action.DROP),
    *(
        ErrCode(code, "human agent accounts: not set up as the call expects", Action.CONFIG)
        for code in range(65400, 65415)
    ),
    ErrCode(70000, "blocked to protect minors", Action.DROP),
    ErrCode(89501, "our IP address waits for the administrator's consent", Action.CONFIG),
    ErrCode(89503, "our IP address needs the administrator's consent", Action.CONFIG),
    ErrCode(89506, "administrator refused our IP address twice, for 24 hours", Action.CONFIG),
    ErrCode(89507, "administrator refused our IP address, for an hour", Action.CONFIG),
)

WECOM: Mapping[int, ErrCode] = _table(
    # The same act as WeChat's -1: it may have been done all the same.
    ErrCode(-1, "system busy", Action.RETRY),
    ErrCode(0, "ok", Action.OK),
    ErrCode(40001, "the app's secret is wrong", Action.CONFIG),
    ErrCode(40003, "userid wrong", Action.DROP),
    ErrCode(40004, "media type wrong", Action.DROP),
    ErrCode(40005, "type wrong", Action.DROP),
    ErrCode(40006, "file size wrong", Action.DROP),
    ErrCode(40007, "media_id wrong or expired", Action.DROP),
    ErrCode(40008, "msgtype wrong", Action.DROP),
    ErrCode(40009, "picture too large", Action.DROP),
    ErrCode(40013, "CorpID wrong", Action.CONFIG),
    ErrCode(40014, "access_token invalid", Action.REFRESH_TOKEN),
    ErrCode(40029, "code wrong or too old", Action.DROP),
    ErrCode(40056, "agentid wrong", Action.CONFIG),
    ErrCode(40058, "a parameter is wrong, or a msgid was used before", Action.BUG),
    ErrCode(40163, "code used before", Action.DROP),
    ErrCode(40201, "account banned for what it said", Action.CONFIG),
    ErrCode(41001, "access_token missing", Action.BUG),
    ErrCode(42001, "access_token expired", Action.REFRESH_TOKEN),
    ErrCode(44004, "text is empty", Action.BUG),
    ErrCode(45001, "media too large", Action.SHORTEN),
    ErrCode(45002, "text too long", Action.SHORTEN),
    ErrCode(45007, "voice too long", Action.SHORTEN),
    ErrCode(45009, "too many calls", Action.WAIT_MINUTE),
    ErrCode(45033, "too many calls at once", Action.RETRY),
    ErrCode(47001, "JSON malformed", Action.BUG),
    ErrCode(48001, "the app may not call this API", Action.CONFIG),
    ErrCode(48002, "the app may not call this API", Action.CONFIG),
    ErrCode(60011, "no right to this member", Action.CONFIG),
    ErrCode(60020, "our IP address is not on the allowlist", Action.CONFIG),
    ErrCode(60111, "userid does not exist", Action.DROP),
    ErrCode(81013, "none of the receivers is valid", Action.DROP),
    ErrCode(82001, "no receiver was named", Action.BUG),
    ErrCode(95000, "open_kfid wrong", Action.CONFIG),
    ErrCode(95001, "messages allowed since the customer's last one used", Action.DROP),
    ErrCode(95002, "48 hours have passed since the customer's last message", Action.DROP),
    ErrCode(95004, "open_kfid does not exist", Action.CONFIG),
    ErrCode(95007, "code or token of a callback wrong or too old", Action.DROP),
    ErrCode(95008, "too many lines in a menu", Action.SHORTEN),
    ErrCode(95011, "managed in WeCom, not by the API", Action.CONFIG),
    ErrCode(95012, "not managed by the API", Action.CONFIG),
    ErrCode(95013, "the conversation has ended", Action.DROP),
    ErrCode(95014, "this person does not serve the conversation", Action.DROP),
    ErrCode(95016, "no way from the conversation's state to this one", Action.DROP),
    ErrCode(95017, "the API of WeChat Customer Service is switched off", Action.CONFIG),
    ErrCode(95018, "a person serves the conversation, or it waits for one", Action.DROP),
    ErrCode(301002, "the app may not do this", Action.CONFIG),
    ErrCode(301017, "the file is no voice that WeCom takes", Action.DROP),
)
"""The same for WeCom, whose numbers overlap with WeChat's and do not always agree (10.1, 10.3).

What is above 95000 and not in the reference is named by public clients of the API.
"""
