"""What an AI bot says later: one message by the `response_url` of a question (reference 10.2)."""

from collections.abc import Mapping

import httpx

from queqiao_wechat.client import exchange, hide_tokens_in_logs, json_request
from queqiao_wechat.errcodes import WECOM


async def respond(http: httpx.AsyncClient, url: str, message: Mapping[str, object]) -> None:
    """Send one message; the address works for an hour, and once.

    The caller has found the address to be the API's (`media_hosts.is_api_address`).

    Raises:
        ApiError, AmbiguousError, UnreachableError: as `queqiao_wechat.client`.
    """
    hide_tokens_in_logs()
    await exchange(http, json_request(http, url, message), codes=WECOM)
