"""The door of each family of accounts. Pure, but for the secrets that are looked up at the start.

A new family is a class here and a line in `DOORS`; nothing else in ingress knows of families.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from queqiao_common.errors import SettingsError
from queqiao_common.events import InboundMessage, PullWanted
from queqiao_common.settings import Account, Config
from queqiao_wechat.fields import is_json
from queqiao_wechat.kf_callback import parse_kf_callback
from queqiao_wechat.messages import Message, MessageError, PlatformEvent, parse_message

from queqiao_ingress.bot import BotDoor
from queqiao_ingress.callback import (
    Callback,
    Door,
    Facts,
    Hold,
    Ignore,
    Publish,
    Purpose,
    Query,
    RejectedError,
    named,
)
from queqiao_ingress.lock import Lock, Seal
from queqiao_ingress.translation import (
    event_of,
    expects_reply,
    is_published,
    may_ask_for_person,
)
from queqiao_ingress.wrappings import Silence, TransferWrapping, XmlWrapping


@dataclass(frozen=True, slots=True)
class _Read:
    """A push that is believed: what it says, as itself and as our event."""

    message: Message
    event: InboundMessage
    seal: Seal | None
    facts: Facts


class _MessageDoor:
    """What the doors share whose callbacks carry the user's message itself.

    `has_agents` says whether the answer to a callback can hand its user over to a person.
    """

    has_agents = False

    def __init__(self, account: Account, config: Config, *, receiver: str) -> None:
        self._account = account
        self._config = config
        self._pepper = config.pepper(account)
        self._lock = Lock(account, receiver=receiver)

    def greet(self, query: Query) -> None:
        """Refuse what its query proves to be nobody's."""
        self._lock.glance(query)

    def _read(self, query: Query, body: bytes, received_ms: int) -> _Read:
        plain, seal = self._lock.open(query, body)
        try:
            message = parse_message(plain)
        except MessageError as error:
            # The usual mistake of an operator: safe mode in WeChat's console, no key in ours.
            keyless = seal is None and query.get("encrypt_type") == "aes"
            raise RejectedError(400, "no_aes_key" if keyless else "malformed") from error
        event = event_of(message, self._account, pepper=self._pepper, received_ms=received_ms)
        return _Read(message, event, seal, _facts(message, event))

    def _expects_reply(self, event: InboundMessage) -> bool:
        return expects_reply(event, self._config, self._account)

    def _purpose(self, read: _Read) -> Purpose:
        """Hold the request where the account's way of delivery can use it."""
        if not is_published(read.message):
            return Ignore()
        event, mode = read.event, self._account.mode
        if not self._expects_reply(event):
            return Publish(event)
        if mode == "passive" or mode == "auto":
            return Hold(event, mode)
        if self.has_agents and may_ask_for_person(event, self._config):
            return Hold(event, "transfer", announces=True)
        is_open = self.has_agents and self._config.handover.enabled
        return Publish(event, announces=True, may_hand_over=is_open)


class OfficialDoor(_MessageDoor):
    """A subscription or service account: XML, plain or in safe mode, and every passive reply."""

    has_agents = True

    def __init__(self, account: Account, config: Config) -> None:
        super().__init__(account, config, receiver=account.appid)

    def verify_url(self, query: Query) -> str:
        """Return the `echostr` unchanged: even in safe mode it is not encrypted."""
        self._lock.check(query, "signature")
        if not query.get("echostr"):
            raise RejectedError(403, "no_echostr")
        return query["echostr"]

    def admit(self, query: Query, body: bytes, *, received_ms: int) -> Callback:
        """Verify, decrypt and read one callback."""
        read = self._read(query, body, received_ms)
        wrapping = XmlWrapping(read.message.from_user, read.message.to_user, read.seal)
        return Callback(self._purpose(read), wrapping, read.facts)


class MiniProgramDoor(OfficialDoor):
    """A Mini Program: XML or JSON; a callback can be answered by handing its user over, only."""

    def admit(self, query: Query, body: bytes, *, received_ms: int) -> Callback:
        """Verify, decrypt and read one callback."""
        read = self._read(query, body, received_ms)
        names = (read.message.from_user, read.message.to_user)
        wrapping = TransferWrapping(*names, read.seal, is_json(body))
        return Callback(self._purpose(read), wrapping, read.facts, takes_text=False)


class WecomDoor(_MessageDoor):
    """An app of WeCom: always encrypted, for one agent of the corporation."""

    def __init__(self, account: Account, config: Config) -> None:
        super().__init__(account, config, receiver=account.appid)

    def verify_url(self, query: Query) -> str:
        """Return the plaintext of the encrypted `echostr`, nothing around it."""
        return self._lock.echo(query)

    def admit(self, query: Query, body: bytes, *, received_ms: int) -> Callback:
        """Verify, decrypt and read one callback."""
        read = self._read(query, body, received_ms)
        # The envelope names the agent too, but what stands there is not signed.
        if read.message.fields.get("AgentID", self._agent) != self._agent:
            raise RejectedError(403, "other_agent")
        names = (read.message.from_user, read.message.to_user)
        wrapping = XmlWrapping(*names, read.seal, has_agents=False)
        return Callback(self._purpose(read), wrapping, read.facts)

    @property
    def _agent(self) -> str:
        return str(self._account.agent_id)


class KfDoor:
    """WeChat Customer Service: a callback says that there is something to pull, and no more."""

    def __init__(self, account: Account, config: Config) -> None:  # noqa: ARG002 - as every door
        self._account = account
        self._lock = Lock(account, receiver=account.appid)

    def greet(self, query: Query) -> None:
        """Refuse what its query proves to be nobody's."""
        self._lock.glance(query)

    def verify_url(self, query: Query) -> str:
        """Return the plaintext of the encrypted `echostr`, nothing around it."""
        return self._lock.echo(query)

    def admit(self, query: Query, body: bytes, *, received_ms: int) -> Callback:
        """Verify, decrypt and read one callback."""
        plain, _ = self._lock.unseal(query, body)
        try:
            callback = parse_kf_callback(plain)
        except MessageError as error:
            raise RejectedError(400, "malformed") from error
        facts = {"platform_event": callback.name, **named(callback.fields)}
        if not callback.is_announcement:
            return Callback(Ignore(), Silence(), facts, takes_text=False)
        account = self._account.id
        pull = PullWanted(
            # Not by the token, which may repeat: a pull too many finds nothing, one too few waits.
            id=f"pull:{account}:{callback.open_kf_id}:{received_ms}",
            account=account,
            peer=callback.open_kf_id,
            token=callback.token,
            received_ms=received_ms,
        )
        return Callback(Publish(pull), Silence(), facts, takes_text=False)


DOORS: Mapping[str, Callable[[Account, Config], Door]] = {
    "subscription": OfficialDoor,
    "service": OfficialDoor,
    "miniprogram": MiniProgramDoor,
    "wecom": WecomDoor,
    "wecom_kf": KfDoor,
    "wecom_bot": BotDoor,
}
"""By `[[accounts]] kind`."""


def open_doors(config: Config) -> dict[str, Door]:
    """Return the door of every account, by account id.

    Raises:
        SettingsError: naming every account whose token or key cannot serve.
    """
    doors: dict[str, Door] = {}
    problems: list[str] = []
    for account in config.accounts:
        try:
            doors[account.id] = DOORS[account.kind](account, config)
        except ValueError as error:
            problems.append(f"accounts[{account.id}].{error}")
    if problems:
        raise SettingsError(tuple(problems))
    return doors


def _facts(message: Message, event: InboundMessage) -> Facts:
    """Say what a push is: its type, and the names of fields that no attribute of ours holds."""
    facts = {"msgid": event.msgid, **named(message.fields)}
    if isinstance(message, PlatformEvent):
        return {**facts, "platform_event": message.name}
    return facts if event.msg_type == "text" else {**facts, "msg_type": event.msg_type}
