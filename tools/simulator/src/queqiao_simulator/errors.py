"""The texts that go with WeChat's errcodes. Clients must match the number, never these."""

import secrets

TEXTS = {
    -1: "system error",
    40001: "invalid credential, access_token is invalid or not latest",
    40002: "invalid grant_type",
    40003: "invalid openid",
    40007: "invalid media_id",
    40008: "invalid message type",
    40013: "invalid appid",
    40014: "invalid access_token",
    40033: "invalid charset. please check your request, if include \\uxxxx will create fail!",
    40066: "invalid url",
    40125: "invalid appsecret",
    40164: "invalid ip {why}, not in whitelist",
    41001: "access_token missing",
    41002: "appid missing",
    41004: "appsecret missing",
    42001: "access_token expired",
    43002: "require POST method",
    43019: "receiver is in the blacklist",
    44002: "empty post data",
    44004: "text content is empty",
    45002: "content size out of limit",
    45008: "article size out of limit",
    45009: "reach max api daily quota limit",
    45011: "api minute-quota reach limit, must slower, retry next minute",
    45015: "response out of time limit or subscription is canceled",
    45047: "out of response count limit",
    45072: "invalid command",
    45080: "no interaction in 30 seconds",
    45081: "already typing",
    47001: "data format error",
    48001: "api unauthorized",
    48002: "user does not accept messages",
    48006: "forbid to clear quota because of reaching the limit",
    70000: "forbidden: the receiver is a minor",
}


def errmsg(errcode: int, now: float, why: str = "") -> str:
    """The text of an error, which ends in a request id as the platform's do."""
    text = TEXTS.get(errcode, "error")
    text = text.replace("{why}", why) if "{why}" in text else f"{text}: {why}" if why else text
    return f"{text} rid: {int(now):08x}-{secrets.token_hex(4)}-{secrets.token_hex(4)}"
