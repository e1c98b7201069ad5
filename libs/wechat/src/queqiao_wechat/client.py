"""The WeChat API as egress calls it: the one module of this package that does I/O.

Every failure says whether WeChat may have acted, since the API has no idempotency key:
`UnreachableError` - certainly not; `ApiError` - it refused; `AmbiguousError` - nobody knows.
"""

import logging
import re
from collections.abc import Mapping
from typing import Protocol

import httpx
import msgspec
from msgspec import Struct

from queqiao_wechat.errcodes import Action, lookup
from queqiao_wechat.text import clean_text

_QUERY_TOKEN = re.compile(r"(access_token=)[^&\s\"']+")
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


class WeChatError(Exception):
    """Any failure of a call to WeChat's API. No text of it holds a token or a secret."""


class ApiError(WeChatError):
    """WeChat answered with an `errcode`, and did not do what was asked (but see -1).

    With action REFRESH_TOKEN, a renewed token has been refused as well.
    """

    def __init__(self, errcode: int, errmsg: str, action: Action) -> None:
        super().__init__(f"WeChat answered errcode {errcode} ({lookup(errcode).meaning}): {errmsg}")
        self.errcode = errcode
        self.errmsg = errmsg
        self.action = action


class AmbiguousError(WeChatError):
    """The request may have reached WeChat and its answer was lost: a repeat may show twice."""


class UnreachableError(WeChatError):
    """The request certainly did not reach WeChat's API: a repeat is safe."""


class Token(Struct, frozen=True):
    """An `access_token` and the seconds it has left, at least 300 as WeChat promises."""

    access_token: str
    expires_in: int

    def __repr__(self) -> str:
        return f"Token(access_token=***, expires_in={self.expires_in})"


class TokenSource(Protocol):
    """Where the account's `access_token` comes from. One owner renews; everyone else reads."""

    async def get(self) -> str:
        """Return the token in use."""
        ...

    async def renew(self, stale: str) -> str:
        """Return a token other than `stale`, which WeChat has refused."""
        ...


class WeChatClient:
    """Calls the API in the name of one account. Timeouts and the pool are those of `http`."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        api_base: str,
        appid: str,
        secret: str,
        tokens: TokenSource,
    ) -> None:
        hide_tokens_in_logs()
        self._http = http
        self._api_base = api_base.rstrip("/")
        self._appid = appid
        self._secret = secret
        self._tokens = tokens

    async def send_text(self, openid: str, text: str, *, ai: bool) -> None:
        """Send a customer-service message of at most 2048 bytes of UTF-8.

        With `ai`, WeChat writes under it that an AI wrote it.

        Raises:
            ApiError, AmbiguousError, UnreachableError: see the module.
        """
        mark = {"aimsgcontext": {"is_ai_msg": 1}} if ai else {}
        await self.call(
            "/cgi-bin/message/custom/send",
            {"touser": openid, "msgtype": "text", "text": {"content": clean_text(text)}, **mark},
        )

    async def typing(self, openid: str, on: bool = True) -> None:
        """Show or end "typing". Shown 15 s, and only within 30 s of an interaction.

        Raises:
            ApiError: also for a repeat while it is shown (45081); its action is IGNORE.
            AmbiguousError, UnreachableError: see the module.
        """
        command = "Typing" if on else "CancelTyping"
        await self.call("/cgi-bin/message/custom/typing", {"touser": openid, "command": command})

    async def clear_quota(self) -> None:
        """Set the day's used calls to zero: 10 times a month, and needs no token.

        Raises:
            ApiError, AmbiguousError, UnreachableError: see the module.
        """
        payload = {"appid": self._appid, "appsecret": self._secret}
        await _post(self._http, f"{self._api_base}/cgi-bin/clear_quota/v2", payload)

    async def call(self, path: str, payload: Mapping[str, object]) -> dict[str, object]:
        """POST `payload` to `path` and return WeChat's answer.

        A refused token is renewed, and the call repeated, once: a refused call has done nothing.

        Raises:
            ApiError, AmbiguousError, UnreachableError: see the module.
        """
        token = await self._tokens.get()
        try:
            return await self._post(path, payload, token)
        except ApiError as error:
            if error.action is not Action.REFRESH_TOKEN:
                raise
        return await self._post(path, payload, await self._tokens.renew(token))

    async def _post(
        self, path: str, payload: Mapping[str, object], token: str
    ) -> dict[str, object]:
        return await _post(self._http, f"{self._api_base}{path}", payload, token)


async def fetch_stable_token(
    http: httpx.AsyncClient, *, api_base: str, appid: str, secret: str, force: bool = False
) -> Token:
    """Ask WeChat for the account's stable token.

    Repeats return the same token until its last five minutes. `force` ends the current one; WeChat
    allows that 20 times a day, 30 s apart, and otherwise returns the old one.

    Raises:
        ApiError, AmbiguousError, UnreachableError: see the module.
    """
    payload = {
        "grant_type": "client_credential",
        "appid": appid,
        "secret": secret,
        "force_refresh": force,
    }
    answer = await _post(http, f"{api_base.rstrip('/')}/cgi-bin/stable_token", payload)
    try:
        return msgspec.convert(answer, Token)
    except msgspec.ValidationError as error:
        raise AmbiguousError(f"WeChat answered a token that cannot be read: {error}") from None


def hide_tokens_in_logs() -> None:
    """Keep `access_token` out of httpx's log, which names every URL at level INFO."""
    logging.getLogger("httpx").addFilter(_hide_token)  # a second time changes nothing


def _hide_token(record: logging.LogRecord) -> bool:
    record.msg, record.args = _QUERY_TOKEN.sub(r"\1***", record.getMessage()), ()
    return True


async def _post(
    http: httpx.AsyncClient, url: str, payload: Mapping[str, object], token: str = ""
) -> dict[str, object]:
    request = http.build_request(
        "POST",
        url,
        params={"access_token": token} if token else None,
        # msgspec writes raw UTF-8; WeChat refuses \u escapes (40033).
        content=msgspec.json.encode(payload),
        headers={"Content-Type": "application/json"},
    )
    # `from None`: an httpx error carries the request, and with it the token.
    try:
        response = await http.send(request)
    except _NOT_SENT as error:
        raise UnreachableError(f"WeChat cannot be reached ({type(error).__name__})") from None
    except httpx.HTTPError as error:
        raise AmbiguousError(f"WeChat's answer was lost ({type(error).__name__})") from None
    return _answer(response.status_code, response.content, token)


def _answer(status: int, body: bytes, token: str) -> dict[str, object]:
    """Read an answer, whatever its Content-Type: WeChat also labels JSON as text."""
    try:
        answer = msgspec.json.decode(body, type=dict[str, object])
        errcode = msgspec.convert(answer.get("errcode", 0), int, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _not_an_answer(status) from None
    if errcode != 0:
        errmsg = str(answer.get("errmsg", ""))
        raise ApiError(
            errcode, errmsg.replace(token, "***") if token else errmsg, lookup(errcode).action
        )
    if status >= 300 and "errcode" not in answer:
        raise _not_an_answer(status)
    return answer


def _not_an_answer(status: int) -> WeChatError:
    """Name an answer that is not the API's: a proxy's, or one cut short."""
    if 300 <= status < 500:
        return UnreachableError(f"something before WeChat's API answered HTTP {status}")
    return AmbiguousError(f"HTTP {status} without an answer of WeChat's API")
