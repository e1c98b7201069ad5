"""The door of a WeCom AI bot: encrypted JSON, answered by a stream that is asked for again. Pure.

The id of a stream is the msgid of the message that it answers, so any replica can go on with it.
"""

import re

from queqiao_common.events import InboundMessage, Media
from queqiao_common.ids import conversation_id
from queqiao_common.settings import Account, Config
from queqiao_wechat.aibot import (
    BotEvent,
    BotMessage,
    BotPoll,
    BotPush,
    bot_dedupe_key,
    parse_bot_push,
)
from queqiao_wechat.fields import MessageError

from queqiao_ingress.callback import (
    Callback,
    Ignore,
    Poll,
    Query,
    RejectedError,
    Say,
    Stream,
    named,
)
from queqiao_ingress.lock import Lock, Seal
from queqiao_ingress.wrappings import Silence, StreamWrapping, WelcomeWrapping

RECEIVER = ""
"""What ciphertexts of an in-house bot are addressed to (protocol reference 10.2)."""
FORMAT = "aibot"
"""Of media whose address gives them encrypted, under the callback's key."""
_STREAM_ID = re.compile(r"m_[0-9a-f]{32}")


class BotDoor:
    """An AI bot in callback mode."""

    def __init__(self, account: Account, config: Config) -> None:
        self._account = account
        self._pepper = config.pepper(account)
        self._lock = Lock(account, receiver=RECEIVER)

    def greet(self, query: Query) -> None:
        """Refuse what its query proves to be nobody's."""
        self._lock.glance(query)

    def verify_url(self, query: Query) -> str:
        """Return the plaintext of the encrypted `echostr`, nothing around it."""
        return self._lock.echo(query)

    def admit(self, query: Query, body: bytes, *, received_ms: int) -> Callback:
        """Verify, decrypt and read one callback."""
        plain, seal = self._lock.unseal(query, body)
        try:
            push = parse_bot_push(plain)
        except MessageError as error:
            raise RejectedError(400, "malformed") from error
        return self._callback(push, seal, received_ms)

    def _callback(self, push: BotPush, seal: Seal, received_ms: int) -> Callback:
        facts = named(push.fields)
        match push:
            case BotMessage():
                event = self._event(push, received_ms)
                facts = {**facts, "msgid": event.msgid, "msg_type": push.msg_type}
                return Callback(Stream(event), StreamWrapping(event.msgid, seal), facts)
            case BotPoll(stream_id=stream_id):
                # What is asked for must look like a key of ours before it is looked up.
                msgid = stream_id if _STREAM_ID.fullmatch(stream_id) else ""
                facts = {**facts, "msgid": msgid, "msg_type": "stream"}
                poll = Poll(self._account.id, msgid)
                return Callback(poll, StreamWrapping(stream_id, seal), facts)
            case BotEvent(name=name):
                facts = {**facts, "platform_event": name}
                if name == "enter_chat":
                    return Callback(Say(self._account.welcome), WelcomeWrapping(seal), facts)
                # A card may only be updated, and we send none; feedback takes no answer at all.
                return Callback(Ignore(), Silence(b""), facts)

    def _event(self, push: BotMessage, received_ms: int) -> InboundMessage:
        account, msgid = self._account.id, bot_dedupe_key(push)
        # What was said alone must not turn up before a group.
        who = f"{push.chat_id}\0{push.user_id}" if push.chat_id else push.user_id
        text = f"（引用：{push.quoted}）\n{push.text}" if push.quoted else push.text
        is_text = bool(text.strip()) and not push.media
        return InboundMessage(
            id=f"wx:{account}:{msgid}",
            account=account,
            conv=conversation_id(pepper=self._pepper, account=account, openid=who),
            openid=push.user_id,
            msgid=msgid,
            received_ms=received_ms,
            kind="text" if is_text else "unsupported",
            text=text if text.strip() else "",
            msg_type=push.msg_type,
            media=tuple(Media(kind=one.kind, url=one.url, format=FORMAT) for one in push.media),
            details=push.fields,
            peer=push.chat_id,
            ticket=push.response_url,
        )
