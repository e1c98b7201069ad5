"""WeCom's API for an own app: its token, and messages to members (protocol reference 10.1)."""

from collections.abc import Mapping

import httpx

from queqiao_wechat.client import Api, ApiError, Token, exchange, hide_tokens_in_logs, token_of
from queqiao_wechat.errcodes import WECOM, lookup

NO_RECEIVER = 81013


async def fetch_wecom_token(
    http: httpx.AsyncClient, *, api_base: str, corpid: str, secret: str
) -> Token:
    """Ask WeCom for the token of one app: every app's secret has its own.

    There is no way to force a new one, and none is needed: WeCom replaces it by itself.

    Raises:
        ApiError, AmbiguousError, UnreachableError: as `queqiao_wechat.client`.
    """
    hide_tokens_in_logs()
    url = f"{api_base.rstrip('/')}/cgi-bin/gettoken"
    request = http.build_request("GET", url, params={"corpid": corpid, "corpsecret": secret})
    return token_of(await exchange(http, request, codes=WECOM))


class WeComClient:
    """Messages of one app to one member at a time."""

    def __init__(self, api: Api, *, agent_id: int) -> None:
        self.api = api
        self._agent_id = agent_id

    async def send(self, userid: str, message: Mapping[str, object]) -> None:
        """Send a message, as `queqiao_wechat.cards` builds them.

        A text above 2,048 bytes would be cut without a word, and so would the 31st message of a
        minute: neither may be asked for.

        Raises:
            ApiError: also where WeCom takes the call, but not the member (`invaliduser`).
            AmbiguousError, UnreachableError: as `Api`.
        """
        answer = await self.api.call(
            "/cgi-bin/message/send", {"touser": userid, "agentid": self._agent_id, **message}
        )
        refused = str(answer.get("invaliduser") or answer.get("unlicenseduser") or "")
        # WeCom compares userids without case, and answers them in lower case.
        if userid.lower() in refused.lower().split("|"):
            known = lookup(NO_RECEIVER, WECOM)
            raise ApiError(NO_RECEIVER, "invaliduser", known.action, meaning=known.meaning)
