"""The WeChat API as egress calls it: the one connection that all clients of this package share.

Every failure says whether WeChat may have acted, since most of the API has no idempotency key:
`UnreachableError` - certainly not; `ApiError` - it refused; `AmbiguousError` - nobody knows.
"""

import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeVar

import httpx
import msgspec
from msgspec import Struct

from queqiao_wechat.errcodes import ERRCODES, Action, ErrCode, lookup
from queqiao_wechat.text import clean_text

T = TypeVar("T")

_QUERY_TOKEN = re.compile(r"((?:access_token|corpsecret|response_code)=)[^&\s\"']+")
_ANSWERS = ("application/json", "text/plain", "text/json")
_SILENCE = (httpx.ReadTimeout, httpx.ReadError, httpx.RemoteProtocolError)
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


class WeChatError(Exception):
    """Any failure of a call to WeChat's API. No text of it holds a token or a secret."""


class ApiError(WeChatError):
    """WeChat answered with an `errcode`, and did not do what was asked (but see -1).

    With action REFRESH_TOKEN, a renewed token has been refused as well.
    """

    def __init__(
        self, errcode: int, errmsg: str, action: Action, *, meaning: str | None = None
    ) -> None:
        known = lookup(errcode).meaning if meaning is None else meaning
        super().__init__(f"WeChat answered errcode {errcode} ({known}): {errmsg}")
        self.errcode = errcode
        self.errmsg = errmsg
        self.action = action


class AmbiguousError(WeChatError):
    """The request may have reached WeChat and its answer was lost: a repeat may show twice."""


class UnansweredError(AmbiguousError):
    """The request was sent whole, and nothing came back: as a rule it has had its effect."""


class UnreachableError(WeChatError):
    """The request certainly did not reach WeChat's API: a repeat is safe."""


class GoneError(WeChatError):
    """What was to be downloaded is not there any more."""


class TooLargeError(WeChatError):
    """What was to be downloaded, or sent, has more bytes than allowed."""


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


class Upload(Struct, frozen=True):
    """A file on its way to WeChat, which wants a name with an ending and a type."""

    name: str
    mime: str
    body: bytes


class Api:
    """Calls in the name of one account. Timeouts and the pool are those of `http`.

    A refused token is renewed, and the call repeated, once: a refused call has done nothing. Every
    method raises `ApiError`, `AmbiguousError` and `UnreachableError` as the module says.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        api_base: str,
        tokens: TokenSource,
        codes: Mapping[int, ErrCode] = ERRCODES,
    ) -> None:
        hide_tokens_in_logs()
        self._http = http
        self._base = api_base.rstrip("/")
        self._tokens = tokens
        self._codes = codes

    async def call(self, path: str, payload: Mapping[str, object]) -> dict[str, object]:
        """POST `payload` to `path` and return WeChat's answer."""

        async def ask(token: str) -> dict[str, object]:
            request = json_request(self._http, f"{self._base}{path}", payload, token)
            return await exchange(self._http, request, token=token, codes=self._codes)

        return await self._authorised(ask)

    async def read(self, path: str) -> dict[str, object]:
        """GET `path` and return WeChat's answer."""

        async def ask(token: str) -> dict[str, object]:
            params = {"access_token": token}
            request = self._http.build_request("GET", f"{self._base}{path}", params=params)
            return await exchange(self._http, request, token=token, codes=self._codes)

        return await self._authorised(ask)

    async def upload(self, path: str, kind: str, file: Upload) -> dict[str, object]:
        """POST a file as `media` of a form and return WeChat's answer."""

        async def ask(token: str) -> dict[str, object]:
            request = self._http.build_request(
                "POST",
                f"{self._base}{path}",
                params={"access_token": token, "type": kind},
                files={"media": (file.name, file.body, file.mime)},
            )
            return await exchange(self._http, request, token=token, codes=self._codes)

        return await self._authorised(ask)

    async def download(self, path: str, params: Mapping[str, str], *, limit_bytes: int) -> bytes:
        """GET a file.

        Raises:
            TooLargeError: it has more than `limit_bytes`; what is beyond was not read.
            GoneError: there is none.
        """

        async def ask(token: str) -> bytes:
            query = {"access_token": token, **params}
            request = self._http.build_request("GET", f"{self._base}{path}", params=query)
            kind, body = await _bytes_of(self._http, request, limit_bytes)
            # An error comes as JSON with status 200, sometimes labelled as text.
            if kind.startswith(_ANSWERS) and body.lstrip()[:1] == b"{":
                _answer(200, body, token, self._codes)
                raise GoneError("WeChat answered no file")
            return body

        return await self._authorised(ask)

    async def _authorised(self, ask: Callable[[str], Awaitable[T]]) -> T:
        token = await self._tokens.get()
        try:
            return await ask(token)
        except ApiError as error:
            if error.action is not Action.REFRESH_TOKEN:
                raise
        return await ask(await self._tokens.renew(token))


class WeChatClient:
    """Customer-service messages of an official account or a Mini Program."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        api_base: str,
        appid: str,
        secret: str,
        tokens: TokenSource,
        typing_path: str = "/cgi-bin/message/custom/typing",
    ) -> None:
        self.api = Api(http, api_base=api_base, tokens=tokens)
        self._http = http
        self._api_base = api_base.rstrip("/")
        self._appid = appid
        self._secret = secret
        self._typing_path = typing_path

    async def send_text(self, openid: str, text: str, *, ai: bool) -> None:
        """Send a text of at most 2048 bytes of UTF-8; the rest is as for `send`."""
        await self.send(openid, {"msgtype": "text", "text": {"content": clean_text(text)}}, ai=ai)

    async def send(self, openid: str, message: Mapping[str, object], *, ai: bool) -> None:
        """Send a customer-service message, as `queqiao_wechat.cards` builds them.

        With `ai`, WeChat writes under it that an AI wrote it.

        Raises:
            ApiError, AmbiguousError, UnreachableError: see the module.
        """
        mark = {"aimsgcontext": {"is_ai_msg": 1}} if ai else {}
        await self.api.call("/cgi-bin/message/custom/send", {"touser": openid, **message, **mark})

    async def typing(self, openid: str, on: bool = True) -> None:
        """Show or end "typing". Shown 15 s, and only within 30 s of an interaction.

        Raises:
            ApiError: also for a repeat while it is shown (45081); its action is IGNORE.
            AmbiguousError, UnreachableError: see the module.
        """
        command = "Typing" if on else "CancelTyping"
        await self.api.call(self._typing_path, {"touser": openid, "command": command})

    async def clear_quota(self) -> None:
        """Set the day's used calls to zero: 10 times a month, and needs no token.

        Raises:
            ApiError, AmbiguousError, UnreachableError: see the module.
        """
        payload = {"appid": self._appid, "appsecret": self._secret}
        url = f"{self._api_base}/cgi-bin/clear_quota/v2"
        await exchange(self._http, json_request(self._http, url, payload))


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
    url = f"{api_base.rstrip('/')}/cgi-bin/stable_token"
    return token_of(await exchange(http, json_request(http, url, payload)))


def token_of(answer: Mapping[str, object]) -> Token:
    """Read the answer of a token call.

    Raises:
        AmbiguousError: it holds no token.
    """
    try:
        return msgspec.convert(answer, Token)
    except msgspec.ValidationError as error:
        raise AmbiguousError(f"WeChat answered a token that cannot be read: {error}") from None


async def fetch(http: httpx.AsyncClient, url: str, *, limit_bytes: int) -> bytes:
    """GET a file from an address that the caller has found to be WeChat's; no redirect is followed.

    Raises:
        GoneError: the address has no file (any more).
        TooLargeError: it has more than `limit_bytes`; what is beyond was not read.
        AmbiguousError, UnreachableError: see the module.
    """
    _, body = await _bytes_of(http, http.build_request("GET", url), limit_bytes)
    return body


def hide_tokens_in_logs() -> None:
    """Keep `access_token` out of httpx's log, which names every URL at level INFO."""
    logging.getLogger("httpx").addFilter(_hide_token)  # a second time changes nothing


def _hide_token(record: logging.LogRecord) -> bool:
    record.msg, record.args = _QUERY_TOKEN.sub(r"\1***", record.getMessage()), ()
    return True


def json_request(
    http: httpx.AsyncClient, url: str, payload: Mapping[str, object], token: str = ""
) -> httpx.Request:
    """Return a POST of raw UTF-8: WeChat refuses `\\u` escapes (40033)."""
    return http.build_request(
        "POST",
        url,
        params={"access_token": token} if token else None,
        content=msgspec.json.encode(payload),
        headers={"Content-Type": "application/json"},
    )


async def exchange(
    http: httpx.AsyncClient,
    request: httpx.Request,
    *,
    token: str = "",
    codes: Mapping[int, ErrCode] = ERRCODES,
) -> dict[str, object]:
    """Send a request and read WeChat's answer.

    Raises:
        ApiError, AmbiguousError, UnreachableError: see the module.
    """
    # `from None`: an httpx error carries the request, and with it the token.
    try:
        response = await http.send(request)
    except _NOT_SENT as error:
        raise UnreachableError(f"WeChat cannot be reached ({type(error).__name__})") from None
    except _SILENCE as error:
        raise UnansweredError(f"WeChat did not answer ({type(error).__name__})") from None
    except httpx.HTTPError as error:
        raise AmbiguousError(f"WeChat's answer was lost ({type(error).__name__})") from None
    return _answer(response.status_code, response.content, token, codes)


async def _bytes_of(
    http: httpx.AsyncClient, request: httpx.Request, limit_bytes: int
) -> tuple[str, bytes]:
    """Read a file, and not more of it than allowed; answer its Content-Type, too."""
    found = bytearray()
    try:
        response = await http.send(request, stream=True, follow_redirects=False)
        try:
            _check_status(response.status_code)
            async for chunk in response.aiter_bytes():
                found += chunk
                if len(found) > limit_bytes:
                    raise TooLargeError(f"more than {limit_bytes} bytes")
        finally:
            await response.aclose()
    except _NOT_SENT as error:
        raise UnreachableError(f"WeChat cannot be reached ({type(error).__name__})") from None
    except httpx.HTTPError as error:
        raise AmbiguousError(f"the download was cut ({type(error).__name__})") from None
    return response.headers.get("Content-Type", ""), bytes(found)


def _check_status(status: int) -> None:
    if 300 <= status < 500:
        raise GoneError(f"HTTP {status} instead of a file")
    if status != 200:
        raise AmbiguousError(f"HTTP {status} instead of a file")


def _answer(
    status: int, body: bytes, token: str, codes: Mapping[int, ErrCode]
) -> dict[str, object]:
    """Read an answer, whatever its Content-Type: WeChat also labels JSON as text."""
    try:
        answer = msgspec.json.decode(body, type=dict[str, object])
        errcode = msgspec.convert(answer.get("errcode", 0), int, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _not_an_answer(status) from None
    if errcode != 0:
        errmsg, known = str(answer.get("errmsg", "")), lookup(errcode, codes)
        hidden = errmsg.replace(token, "***") if token else errmsg
        raise ApiError(errcode, hidden, known.action, meaning=known.meaning)
    if status >= 300 and "errcode" not in answer:
        raise _not_an_answer(status)
    return answer


def _not_an_answer(status: int) -> WeChatError:
    """Name an answer that is not the API's: a proxy's, or one cut short."""
    if 300 <= status < 500:
        return UnreachableError(f"something before WeChat's API answered HTTP {status}")
    return AmbiguousError(f"HTTP {status} without an answer of WeChat's API")
