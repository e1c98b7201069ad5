"""From the bytes of a callback to a message, and from a text to the bytes that answer it.

Pure: whom to believe, what to refuse, what to publish. The rule for refusals: 403 until a callback
has proved that it comes from WeChat for this account, 400 if it does and still makes no sense.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from msgspec import structs
from queqiao_common.errors import QueqiaoError, SettingsError
from queqiao_common.events import InboundMessage
from queqiao_common.ids import conversation_id
from queqiao_common.settings import Account, Config
from queqiao_wechat.crypto import Cipher, CryptoError, decrypt_any
from queqiao_wechat.messages import (
    Message,
    MessageError,
    PlatformEvent,
    TextMessage,
    UnknownMessage,
    VideoMessage,
    dedupe_key,
    parse_envelope,
    parse_message,
    trigger_of,
)
from queqiao_wechat.replies import encrypt_reply, text_reply
from queqiao_wechat.signature import is_signed
from queqiao_wechat.text import clean_text

Query = Mapping[str, str]

SUCCESS = b"success"
"""What tells WeChat that all is well and that nothing shall be shown; never encrypted."""

PUBLISHED_EVENTS = frozenset({"subscribe"})
"""The platform events that somebody further down acts on; the others are only acknowledged."""


class RejectedError(QueqiaoError):
    """A callback that gets `status` and an empty body; `reason` is a constant, fit for a log."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Seal:
    """How the answer to one safe-mode callback is encrypted: by the key that opened it."""

    cipher: Cipher
    callback_token: str = field(repr=False)
    nonce: str


@dataclass(frozen=True, slots=True)
class Callback:
    """A callback that is believed: what it says, and how an answer to it must be wrapped.

    `original_id` is the account's own id (`gh_...`); without a `seal` the answer is plain.
    `is_published` says whether anybody further down acts on it, `expects_reply` whether a reply
    may follow that is worth holding the request for.
    """

    message: InboundMessage
    original_id: str
    seal: Seal | None
    is_published: bool
    expects_reply: bool

    def answer(self, text: str, *, now: int) -> bytes:
        """Return the body that says `text`; `now` is in whole seconds since 1970.

        Where there is nothing to show it is `success`: WeChat shows users an error in place of a
        reply without content.
        """
        if not clean_text(text).strip():
            return SUCCESS
        reply = text_reply(
            to_user=self.message.openid, from_user=self.original_id, created=now, content=text
        )
        if self.seal is None:
            return reply
        return encrypt_reply(
            self.seal.cipher,
            self.seal.callback_token,
            reply,
            timestamp=now,
            nonce=self.seal.nonce,
        )


class Door:
    """The door of one account, its secrets looked up and its ciphers prepared once.

    Raises:
        ValueError: a secret cannot serve; the text names its key, never its value.
    """

    def __init__(self, account: Account, *, pepper: str) -> None:
        self.account = account
        self._token = account.token.reveal()
        if not self._token:
            raise ValueError("token: empty, so that anybody could sign")
        self._pepper = pepper
        self._ciphers = _ciphers(account)

    def verify_url(self, query: Query) -> str:
        """Return the `echostr` that answers a URL verification unchanged.

        Raises:
            RejectedError: it is not signed with our token, or has no `echostr`.
        """
        self._check(query, "signature")
        if not query.get("echostr"):
            raise RejectedError(403, "no_echostr")
        return query["echostr"]

    def admit(self, query: Query, body: bytes, *, received_ms: int) -> Callback:
        """Verify, decrypt and read one callback.

        An account with an `aes_key` takes nothing but ciphertext: what a body of the compatible
        mode says beside it is not covered by the signature, and ignored.

        Raises:
            RejectedError: it is not WeChat's, not for this account, or not a message.
        """
        plain, seal = self._unseal(query, body) if self._ciphers else self._open(query, body)
        try:
            message = parse_message(plain)
        except MessageError as error:
            # The usual mistake of an operator: safe mode in WeChat's console, no key in ours.
            keyless = seal is None and query.get("encrypt_type") == "aes"
            raise RejectedError(400, "no_aes_key" if keyless else "malformed") from error
        event = self._event(message, received_ms)
        is_published = not isinstance(message, PlatformEvent) or message.name in PUBLISHED_EVENTS
        return Callback(
            message=event,
            original_id=message.to_user,
            seal=seal,
            is_published=is_published,
            expects_reply=is_published and self._expects_reply(event),
        )

    def _check(self, query: Query, name: str, *signed: str) -> None:
        """Check the signature that the parameter `name` holds, in constant time."""
        parts = (query.get("timestamp", ""), query.get("nonce", ""), *signed)
        if not is_signed(query.get(name, ""), self._token, *parts):
            raise RejectedError(403, "bad_signature")

    def _open(self, query: Query, body: bytes) -> tuple[bytes, None]:
        self._check(query, "signature")
        return body, None

    def _unseal(self, query: Query, body: bytes) -> tuple[bytes, Seal]:
        try:
            encrypted = parse_envelope(body).encrypt
        except MessageError as error:
            raise RejectedError(403, "not_encrypted") from error
        # `signature` does not cover the body: in safe mode it proves nothing.
        self._check(query, "msg_signature", encrypted)
        try:
            plain, cipher = decrypt_any(self._ciphers, encrypted)
        except CryptoError as error:
            raise RejectedError(403, "undecryptable") from error
        return plain, Seal(cipher, self._token, query.get("nonce", ""))

    def _event(self, message: Message, received_ms: int) -> InboundMessage:
        account, openid = self.account.id, message.from_user
        msgid = dedupe_key(message)
        event = InboundMessage(
            id=f"wx:{account}:{msgid}",
            account=account,
            conv=conversation_id(pepper=self._pepper, account=account, openid=openid),
            openid=openid,
            msgid=msgid,
            received_ms=received_ms,
            kind="unsupported",
            msg_type=_type_of(message),
            trigger=trigger_of(message),
        )
        match message:
            case TextMessage(content=content) if content.strip():
                return structs.replace(event, kind="text", text=content)
            case PlatformEvent(name=name, event_key=event_key):
                return structs.replace(
                    event, kind="platform_event", platform_event=name, event_key=event_key
                )
            case _:
                return event

    def _expects_reply(self, event: InboundMessage) -> bool:
        return event.kind != "platform_event" or bool(self.account.welcome)


def open_doors(config: Config) -> dict[str, Door]:
    """Return the door of every account, by account id.

    Raises:
        SettingsError: naming every account whose token or key cannot serve.
    """
    doors: dict[str, Door] = {}
    problems: list[str] = []
    for account in config.accounts:
        try:
            doors[account.id] = Door(account, pepper=config.pepper(account))
        except ValueError as error:
            problems.append(f"accounts[{account.id}].{error}")
    if problems:
        raise SettingsError(tuple(problems))
    return doors


def _ciphers(account: Account) -> tuple[Cipher, ...]:
    """Prepare the current key and, while keys are changed, the previous one."""
    if not account.aes_key.reveal():
        return ()
    ciphers: list[Cipher] = []
    for name in ("aes_key", "previous_aes_key"):
        if key := getattr(account, name).reveal():
            try:
                ciphers.append(Cipher(key, account.appid))
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
    return tuple(ciphers)


def _type_of(message: Message) -> str:
    """Return the `MsgType` that WeChat gave a message."""
    match message:
        case UnknownMessage(msg_type=msg_type):
            return msg_type
        case VideoMessage(short=True):
            return "shortvideo"
        case _:
            return str(message.__struct_config__.tag)
