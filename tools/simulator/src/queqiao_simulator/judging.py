"""A push to deliver, and what its account's kind of platform makes of the answer."""

from collections.abc import Iterator

from msgspec import Struct

from queqiao_simulator import answers, bot_answers, sealing
from queqiao_simulator.accounts import Account, Conversation
from queqiao_simulator.answers import Ack, Answer, Expected
from queqiao_simulator.bot_answers import Asked
from queqiao_simulator.envelope import Fields
from queqiao_simulator.faults import Fault
from queqiao_simulator.settings import Settings
from queqiao_simulator.transcript import Push

ARTICLES_AFTER_EVENT = 8


class Job(Struct, frozen=True):
    """A push to deliver: its record, what it says, and the replicas to try in turn.

    `asked` is what an AI bot's callback is asked for; `attempts` bounds the deliveries; `said` is
    for a recording, where the push itself carries no content.
    """

    push: Push
    account: Account
    conversation: Conversation
    fields: Fields
    callbacks: Iterator[str]
    fault: Fault | None = None
    nonce: str = ""
    asked: Asked = "message"
    attempts: int = 4
    said: Fields | None = None

    @property
    def fault_kind(self) -> str:
        """The kind of the fault that strikes this push, or nothing."""
        return self.fault.kind if self.fault is not None else ""


def judge(job: Job, body: bytes, now: float, settings: Settings) -> Answer:
    """Judge the body of a 200 answer by the rules of the account's kind."""
    match job.account.settings.kind:
        case "wecom_bot":
            limit = settings.bot.text_limit_bytes
            return bot_answers.judge(body, job.asked, _opener(job), limit)
        case "wecom_kf":
            return Ack(body.strip().decode(errors="replace")[:100])
        case _:
            return answers.judge(
                body, _expected(job, now), _opener(job), sealed=_must_seal(job.account)
            )


def _opener(job: Job) -> answers.Decrypt | None:
    account = job.account
    return sealing.opener(account.settings, account.cipher, account.previous_cipher)


def _must_seal(account: Account) -> bool:
    return account.settings.sealing == "safe"


def _expected(job: Job, now: float) -> Expected:
    account, fields = job.account, job.fields
    is_event = fields.get("MsgType") == "event"
    return Expected(
        str(fields.get("FromUserName", job.conversation.openid)),
        account.settings.gh_id,
        articles=ARTICLES_AFTER_EVENT if is_event else 1,
        has_medium=lambda media_id, kind: account.media.has(media_id, kind, now),
        may_reply=str(fields.get("Event", "")).lower() != "unsubscribe",
        hands_over_only=account.settings.kind == "miniprogram",
    )
