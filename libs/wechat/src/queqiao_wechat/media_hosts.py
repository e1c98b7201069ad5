"""Which addresses of a pushed message may be fetched: WeChat's own, and the configured API's.

A push is signed, yet what it names is not to be trusted with our network: whoever learns the
callback token could otherwise have any address inside it read aloud. A fetch must not follow
redirects either, or this check says nothing.

Sources: `PicUrl` of stored samples, the sample of the AI bot's documentation (its bucket stands
under Tencent's own account number: the region may change, the number may not), protocol
reference 5.1 for the hosts of the API.
"""

import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

MAX_LENGTH: Final = 4096  # characters; a signed address of the AI bot has about 400
_PLAIN = re.compile(r"[!-~]+")
_PORTS = {"http": 80, "https": 443}

PICTURE_HOSTS: Final = re.compile(
    r"([a-z0-9-]+\.)*(qpic|qlogo)\.cn"
    r"|ww-aibot-img-1258476243\.cos\.[a-z0-9-]+\.myqcloud\.com"
)
"""Where pictures and files of messages are kept: the picture CDN, and the AI bot's bucket."""

API_HOSTS: Final = frozenset(
    {
        "api.weixin.qq.com",
        "api2.weixin.qq.com",
        "sh.api.weixin.qq.com",
        "sz.api.weixin.qq.com",
        "hk.api.weixin.qq.com",
        "file.api.weixin.qq.com",
        "qyapi.weixin.qq.com",
    }
)
"""The hosts of the API, WeCom's among them."""


def is_media_address(url: str, *, api_base: str) -> bool:
    """Tell whether media may be fetched from `url`; never raises.

    It must be http or https, at the scheme's own port, without a user, on one of WeChat's hosts;
    or have scheme, host and port of `api_base`, as that of a simulator or a proxy.
    """
    parts = _split(url)
    if parts is None:
        return False
    host, is_usual = parts.hostname or "", _port(parts) == _PORTS[parts.scheme]
    is_known = host in API_HOSTS or PICTURE_HOSTS.fullmatch(host) is not None
    return (is_usual and is_known) or _is_at(parts, api_base)


def is_api_address(url: str, *, api_base: str) -> bool:
    """Tell whether `url`, as an AI bot's `response_url`, belongs to the API; never raises.

    Unlike a picture it is only believed over https, or where `api_base` itself is.
    """
    parts = _split(url)
    if parts is None:
        return False
    is_ours = parts.scheme == "https" and _port(parts) == _PORTS["https"]
    return (is_ours and parts.hostname in API_HOSTS) or _is_at(parts, api_base)


def _split(url: str) -> SplitResult | None:
    """Take an address apart; None where two parsers might read it in two ways."""
    if len(url) > MAX_LENGTH or _PLAIN.fullmatch(url) is None or "\\" in url:
        return None
    try:
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname or "@" in parts.netloc:
            return None
        parts.port  # noqa: B018 - raises where it is no number
    except ValueError:
        return None
    return parts


def _port(parts: SplitResult) -> int:
    return _PORTS[parts.scheme] if parts.port is None else parts.port


def _is_at(parts: SplitResult, api_base: str) -> bool:
    base = _split(api_base)
    return base is not None and _origin(parts) == _origin(base)


def _origin(parts: SplitResult) -> tuple[str, str | None, int]:
    return parts.scheme, parts.hostname, _port(parts)
