"""How the answers of each family are written. Pure."""

from dataclasses import dataclass

from queqiao_common.events import Form
from queqiao_wechat.aibot import stream_answer, welcome_answer
from queqiao_wechat.replies import (
    image_reply,
    news_reply,
    text_reply,
    transfer_reply,
    transfer_reply_json,
    voice_reply,
)

from queqiao_ingress.callback import SUCCESS, Reply
from queqiao_ingress.lock import Seal

XML, JSON = "application/xml", "application/json"


@dataclass(frozen=True, slots=True)
class Silence:
    """A callback that takes no answer; `word` says so."""

    word: bytes = SUCCESS
    media_type: str = "text/plain"

    def wrap(self, reply: Reply, *, now: int) -> bytes:  # noqa: ARG002 - it takes none
        """Return the word."""
        return self.word


@dataclass(frozen=True, slots=True)
class XmlWrapping:
    """A passive reply in XML: of an Official Account, or of a WeCom app, which has no agents.

    `account` is the account's own id (`gh_...`, or the CorpID).
    """

    openid: str
    account: str
    seal: Seal | None
    has_agents: bool = True
    media_type: str = XML

    def wrap(self, reply: Reply, *, now: int) -> bytes:
        """Return the reply, sealed where the callback was."""
        plain = self._form(reply.form, now) if reply.form is not None else b""
        if not plain and reply.shows_text:
            names = {"to_user": self.openid, "from_user": self.account}
            plain = text_reply(**names, created=now, content=reply.text)
        if not plain:
            return SUCCESS
        return plain if self.seal is None else self.seal.xml(plain, now=now)

    def _form(self, form: Form, now: int) -> bytes:
        """Write what is more than a text; nothing where it is not known here."""
        to_user, from_user = self.openid, self.account
        match form:
            case Form(kind="transfer", agent=agent) if self.has_agents:
                return transfer_reply(
                    to_user=to_user, from_user=from_user, created=now, kf_account=agent
                )
            case Form(kind="image", media_id=media_id) if media_id:
                return image_reply(
                    to_user=to_user, from_user=from_user, created=now, media_id=media_id
                )
            case Form(kind="voice", media_id=media_id) if media_id:
                return voice_reply(
                    to_user=to_user, from_user=from_user, created=now, media_id=media_id
                )
            case Form(kind="news", card=card) if card is not None:
                return news_reply(
                    to_user=to_user,
                    from_user=from_user,
                    created=now,
                    title=card.title,
                    description=card.description,
                    picture_url=card.picture_url,
                    url=card.url,
                )
            case _:
                return b""


@dataclass(frozen=True, slots=True)
class TransferWrapping:
    """All that a Mini Program takes: its user is handed over, in the format of the callback."""

    openid: str
    account: str
    seal: Seal | None
    is_json: bool

    @property
    def media_type(self) -> str:
        """The format of the callback."""
        return JSON if self.is_json else XML

    def wrap(self, reply: Reply, *, now: int) -> bytes:
        """Return the hand-over; `success` in the place of anything else."""
        if reply.form is None or reply.form.kind != "transfer":
            return SUCCESS
        names = {"to_user": self.openid, "from_user": self.account}
        if self.is_json:
            plain = transfer_reply_json(**names, created=now)
            return plain if self.seal is None else self.seal.json(plain, now=now)
        plain = transfer_reply(**names, created=now)
        return plain if self.seal is None else self.seal.xml(plain, now=now)


@dataclass(frozen=True, slots=True)
class StreamWrapping:
    """An AI bot's answer so far: it takes the place of what is shown, even where it is empty."""

    stream_id: str
    seal: Seal
    media_type: str = JSON

    def wrap(self, reply: Reply, *, now: int) -> bytes:
        """Return the state of the stream."""
        answer = stream_answer(self.stream_id, reply.text, is_final=reply.is_final)
        return self.seal.bot(answer, now=now)


@dataclass(frozen=True, slots=True)
class WelcomeWrapping:
    """An AI bot's greeting."""

    seal: Seal
    media_type: str = JSON

    def wrap(self, reply: Reply, *, now: int) -> bytes:
        """Return the greeting; an empty body for none."""
        if not reply.shows_text:
            return b""
        return self.seal.bot(welcome_answer(reply.text), now=now)
