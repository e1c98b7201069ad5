"""Every stream, subject, consumer and bucket: values, no code that talks to a broker.

This table is what `queqiao topology apply` creates, what the services bind to, and what
`docs/events.md` and the AsyncAPI document are generated from. Durations are seconds.

Reasons for the limits (measurements in docs/adr/0002):
- retention is `limits`: work-queue streams forget the id of an acknowledged message at a restart;
- `discard` is `new`: the oldest unread message is never dropped silently, the publisher is told;
- the duplicate window outlives every redelivery;
- timers have a stream of their own, as scheduling is refused where `discard` is `new`.
"""

from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from queqiao_common import events
from queqiao_common.events import Event

E = TypeVar("E", bound=Event)
T = TypeVar("T")

DAY = 86_400.0
MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Stream:
    """A JetStream stream; `max_bytes` is the default and scales by `[nats] stream_bytes`."""

    name: str
    subjects: tuple[str, ...]
    keeps: str
    max_age: float = 3 * DAY
    max_bytes: int = 2048 * MIB
    duplicate_window: float = 900.0
    storage: Literal["file", "memory"] = "file"
    discard: Literal["new", "old"] = "new"
    schedules: bool = False


CHAT = Stream(
    name="CHAT",
    subjects=("chat.inbound.>", "chat.screened.>"),
    keeps="what users said, before and after screening",
)
LLM = Stream(name="LLM", subjects=("llm.request.>",), keeps="turns to be answered by a model")
REPLY = Stream(
    name="REPLY",
    subjects=(
        "reply.draft.>",
        "reply.screened.>",
        "reply.ready.>",
        "reply.delivered.>",
        "reply.summary.>",
    ),
    keeps="answers, from the model's draft to WeChat's acceptance",
)
PASSIVE = Stream(
    name="PASSIVE",
    subjects=("passive.offer.>", "passive.missed.>", "passive.given.>"),
    keeps="what ingress and egress tell each other about requests that are open now",
    storage="memory",  # worthless after seconds; egress offers again when it is lost
    max_age=120.0,
    max_bytes=256 * MIB,
    duplicate_window=10.0,
    discard="old",
)
TIMERS = Stream(
    name="TIMERS",
    subjects=("timer.>", "turn.timeout.>"),
    keeps="deadlines, published by the broker itself when they are due",
    max_age=7 * DAY,
    max_bytes=512 * MIB,
    discard="old",
    schedules=True,
)
DEAD = Stream(
    name="DEAD",
    subjects=(
        "dead.>",
        "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>",
        "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>",
    ),
    keeps="events that could not be processed, for an operator to look at and replay",
    max_age=30 * DAY,
    max_bytes=512 * MIB,
    discard="old",
)
CHANNEL = Stream(
    name="CHANNEL",
    subjects=("media.>", "channel.>"),
    keeps="what is to be fetched from WeChat: media, and messages that must be pulled",
    max_bytes=512 * MIB,
)
STREAMS = (CHAT, LLM, REPLY, PASSIVE, TIMERS, DEAD, CHANNEL)


@dataclass(frozen=True)
class Subject(Generic[E]):
    """A family of subjects that carries one type of event."""

    pattern: str
    event: type[E]
    stream: Stream
    published_by: str
    means: str

    @property
    def template(self) -> str:
        """The pattern without its variables: the name of the hop in spans and metrics."""
        return self.pattern.split(".{")[0]

    @property
    def filter(self) -> str:
        """The wildcard subject that matches the whole family (`{subject}` is of many tokens)."""
        pattern = self.pattern.replace("{subject}", ">")
        return ".".join("*" if part[0] == "{" else part for part in pattern.split("."))

    def of(self, event: Event) -> str:
        """Return the subject of one event."""
        return self.pattern.format_map(_Fields(event))


class _Fields(dict[str, str]):
    """The fields of an event, looked up by name while a pattern is filled in."""

    def __init__(self, event: Event) -> None:
        self._event = event

    def __missing__(self, name: str) -> str:
        return str(getattr(self._event, name))


INBOUND = Subject(
    "chat.inbound.{account}.{conv}",
    events.InboundMessage,
    CHAT,
    "ingress, egress",
    "a verified, decrypted, parsed user message or platform event",
)
SCREENED = Subject(
    "chat.screened.{account}.{conv}",
    events.ScreenedMessage,
    CHAT,
    "moderation",
    "the same, with the verdict",
)
REQUESTS = Subject(
    "llm.request.{route}",
    events.CompletionRequest,
    LLM,
    "context",
    "one turn: the whole prompt",
)
DRAFTS = Subject(
    "reply.draft.{account}",
    events.ReplySegment,
    REPLY,
    "llm",
    "one finished piece of an answer",
)
SEGMENTS = Subject(
    "reply.screened.{account}",
    events.ScreenedSegment,
    REPLY,
    "moderation",
    "the piece after output screening",
)
READY = Subject(
    "reply.ready.{account}",
    events.Delivery,
    REPLY,
    "context",
    "recorded in the conversation, released in order, to be delivered",
)
DELIVERED = Subject(
    "reply.delivered.{account}",
    events.DeliveryResult,
    REPLY,
    "egress",
    "delivered, failed for good, or parked; releases the next piece",
)
OFFERS = Subject(
    "passive.offer.{account}",
    events.PassiveOffer,
    PASSIVE,
    "egress",
    "a reply for the HTTP request that still waits for it",
)
MISSED = Subject(
    "passive.missed.{account}",
    events.WindowMissed,
    PASSIVE,
    "ingress",
    "the request ended without a reply; the user sees that one is being written",
)
GIVEN = Subject(
    "passive.given.{account}",
    events.ReplyGiven,
    PASSIVE,
    "ingress",
    "a claimed reply has left; until then nothing that follows it may",
)
MEDIA_WANTED = Subject(
    "media.wanted.{account}",
    events.MediaWanted,
    CHANNEL,
    "moderation",
    "a message whose media are to be fetched from WeChat",
)
MEDIA_FETCHED = Subject(
    "media.fetched.{account}",
    events.MediaFetched,
    CHANNEL,
    "egress",
    "its media are in the object store; voice is to become text",
)
MEDIA_READY = Subject(
    "media.ready.{account}",
    events.MediaReady,
    CHANNEL,
    "llm, egress",
    "its media are ready: the message can be screened",
)
PULLS_WANTED = Subject(
    "channel.pull.{account}",
    events.PullWanted,
    CHANNEL,
    "ingress",
    "an account of WeChat Customer Service has messages to be pulled",
)
SUMMARIES = Subject(
    "reply.summary.{account}",
    events.Summarised,
    REPLY,
    "llm",
    "the summary of what no longer fits before the model",
)
TIMEOUTS = Subject(
    "turn.timeout.{account}",
    events.TurnTimeout,
    TIMERS,
    "context, scheduled",
    "the turn's deadline, set in the broker, not in a process",
)
DEAD_LETTERS = Subject(
    "dead.{subject}",
    events.DeadLetter,
    DEAD,
    "the worker loop",
    "an event that could not be processed, with why, how often, and the trace",
)
SUBJECTS: tuple[Subject[Event], ...] = (
    INBOUND,
    SCREENED,
    REQUESTS,
    DRAFTS,
    SEGMENTS,
    READY,
    DELIVERED,
    OFFERS,
    MISSED,
    GIVEN,
    TIMEOUTS,
    DEAD_LETTERS,
    MEDIA_WANTED,
    MEDIA_FETCHED,
    MEDIA_READY,
    PULLS_WANTED,
    SUMMARIES,
)  # type: ignore[assignment]  # a tuple of different families; E is invariant only in name
SUBJECT_OF: dict[type[Event], Subject[Event]] = {subject.event: subject for subject in SUBJECTS}


@dataclass(frozen=True, kw_only=True)
class Consumer(Generic[E]):
    """A durable pull consumer: one durable per work, shared by all replicas of a service.

    `slots` is how many events one replica handles at once, `max_ack_pending` how many all of them
    together may hold. The broker's `max_deliver` is a net above our own limit (`attempts`).
    """

    name: str
    service: str
    reads: Subject[E]
    ack_wait: float = 10.0
    attempts: int = 8
    slots: int = 64
    max_ack_pending: int = 2000


MODERATION_INBOUND = Consumer(name="moderation-inbound", service="moderation", reads=INBOUND)
MODERATION_DRAFTS = Consumer(name="moderation-drafts", service="moderation", reads=DRAFTS)
CONTEXT_SCREENED = Consumer(name="context-screened", service="context", reads=SCREENED)
CONTEXT_SEGMENTS = Consumer(name="context-segments", service="context", reads=SEGMENTS)
CONTEXT_DELIVERED = Consumer(name="context-delivered", service="context", reads=DELIVERED)
CONTEXT_TIMEOUTS = Consumer(name="context-timeouts", service="context", reads=TIMEOUTS)
LLM_REQUESTS = Consumer(name="llm-requests", service="llm", reads=REQUESTS, attempts=5)
EGRESS_READY = Consumer(name="egress-ready", service="egress", reads=READY, slots=256, attempts=60)
EGRESS_MISSED = Consumer(name="egress-missed", service="egress", reads=MISSED, attempts=3)
MODERATION_MEDIA = Consumer(name="moderation-media", service="moderation", reads=MEDIA_READY)
CONTEXT_SUMMARIES = Consumer(name="context-summaries", service="context", reads=SUMMARIES)
LLM_MEDIA = Consumer(
    name="llm-media", service="llm", reads=MEDIA_FETCHED, ack_wait=20.0, attempts=4, slots=8
)
EGRESS_MEDIA = Consumer(
    name="egress-media", service="egress", reads=MEDIA_WANTED, ack_wait=20.0, attempts=6, slots=16
)
EGRESS_PULLS = Consumer(
    name="egress-pulls", service="egress", reads=PULLS_WANTED, ack_wait=20.0, attempts=20, slots=16
)
CONSUMERS: tuple[Consumer[Event], ...] = (
    MODERATION_INBOUND,
    MODERATION_DRAFTS,
    CONTEXT_SCREENED,
    CONTEXT_SEGMENTS,
    CONTEXT_DELIVERED,
    CONTEXT_TIMEOUTS,
    LLM_REQUESTS,
    EGRESS_READY,
    EGRESS_MISSED,
    MODERATION_MEDIA,
    CONTEXT_SUMMARIES,
    LLM_MEDIA,
    EGRESS_MEDIA,
    EGRESS_PULLS,
)  # type: ignore[assignment]  # as above


GIVEN_UP = Subject(
    "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.{stream}.{consumer}",
    events.GivenUp,
    DEAD,
    "the broker",
    "an event that it delivers no more, as nobody acknowledged it",
)
UNDERTAKERS = tuple(
    Consumer(name=f"{service}-given-up", service=service, reads=GIVEN_UP, slots=4)
    for service in dict.fromkeys(consumer.service for consumer in CONSUMERS)
)
"""One for each service that consumes: it buries what the broker gave up of the service's events."""
DURABLES: tuple[Consumer[Any], ...] = (*CONSUMERS, *UNDERTAKERS)


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """A key-value bucket; a key lives `ttl` seconds after its last write (None: for good)."""

    name: str
    key: str
    keeps: str
    ttl: float | None = None
    max_value: int = 512 * 1024
    max_bytes: int = 1024 * MIB
    written_by: tuple[str, ...] = field(default=())

    @property
    def stream(self) -> str:
        """The stream beneath the bucket."""
        return f"KV_{self.name}"


CONVERSATIONS = Bucket(
    name="conversations",
    key="<account>.<conv>",
    keeps="cursor, history, the turn in flight, queued messages",
    ttl=7 * DAY,  # outlives the CHAT stream, else an expired document absorbs old messages again
    written_by=("context",),
)
CLAIMS = Bucket(
    name="claims",
    key="<account>.<msgid>",
    keeps="who answers this message: its waiting HTTP request, or the API; the first create wins",
    ttl=3600.0,
    written_by=("ingress", "egress"),
)
MAILBOX = Bucket(
    name="mailbox",
    key="<account>.<conv>",
    keeps="replies parked for accounts that can only reply passively",
    ttl=3 * DAY,
    written_by=("egress",),
)
QUOTA = Bucket(
    name="quota",
    key="<account>.<conv>",
    keeps="the window opened by the user's last action, and how many messages of it are spent",
    ttl=2 * DAY,
    written_by=("egress",),
)
SENT = Bucket(
    name="sent",
    key="<delivery id>",
    keeps="who sends a delivery, and how many parts of it WeChat has accepted",
    ttl=3 * DAY,
    written_by=("egress",),
)
TOKENS = Bucket(
    name="tokens",
    key="<account>",
    keeps="the access token, when it expires, and who is fetching the next one",
    ttl=2 * 3600.0,
    written_by=("egress",),
)
ANSWERS = Bucket(
    name="answers",
    key="<account>.<shelf>.<question>",
    keeps="answers to context-free questions, pinned ones for good; leases of who fetches one",
    ttl=30 * DAY,  # the most that `[cache] ttl` may be: each document has a lifetime of its own
    max_value=128 * 1024,
    max_bytes=256 * MIB,
    written_by=("llm", "operators"),
)
POLICY = Bucket(
    name="policy",
    key="words.<list>",
    keeps="word lists that operators change while the services run",
    written_by=("operators",),
)
LIMITS = Bucket(
    name="limits",
    key="<account>.<conv>",
    keeps="the messages of the last minute of users who write fast; others are counted in memory",
    ttl=120.0,
    max_value=64 * 1024,
    max_bytes=64 * MIB,
    written_by=("moderation",),
)
NOTES = Bucket(
    name="notes",
    key="<account>.<conv>",
    keeps="facts about a user that outlive a conversation; the user can read and erase them",
    ttl=365 * DAY,
    max_value=64 * 1024,
    max_bytes=256 * MIB,
    written_by=("context",),
)
PAGES = Bucket(
    name="pages",
    key="<page id>",
    keeps="long answers, while they are written and for as long as their page works",
    ttl=30 * DAY,  # the most that `[pages] ttl` may be: each document has a lifetime of its own
    max_bytes=512 * MIB,
    written_by=("context",),
)
DISPLAYS = Bucket(
    name="displays",
    key="<account>.<msgid>",
    keeps="the answer so far of an AI bot, for the platform that asks for it again and again",
    ttl=900.0,
    max_bytes=128 * MIB,
    written_by=("ingress", "egress"),
)
PEOPLE = Bucket(
    name="people",
    key="<account>.<conv>",
    keeps="users who talk to a person, where callbacks are held for nothing but to pass that on",
    ttl=7 * DAY,  # each document has a lifetime of its own
    max_value=1024,
    max_bytes=32 * MIB,
    written_by=("context",),
)
CURSORS = Bucket(
    name="cursors",
    key="<account>.<open_kfid>",
    keeps="how far messages of WeChat Customer Service are pulled, and who pulls them",
    max_bytes=16 * MIB,
    written_by=("egress",),
)
LOADS = Bucket(
    name="loads",
    key="<model>.<key>",
    keeps="what all replicas together ask of a model, for limits of its provider",
    ttl=180.0,
    max_value=64 * 1024,
    max_bytes=64 * MIB,
    written_by=("llm",),
)
USAGE = Bucket(
    name="usage",
    key="<day>.<scope>",
    keeps="tokens, questions and cost by day: of users, personas, accounts and models",
    ttl=400 * DAY,
    max_value=256 * 1024,
    max_bytes=256 * MIB,
    written_by=("llm",),
)
BUCKETS = (
    CONVERSATIONS,
    CLAIMS,
    MAILBOX,
    QUOTA,
    SENT,
    TOKENS,
    ANSWERS,
    POLICY,
    LIMITS,
    NOTES,
    PAGES,
    DISPLAYS,
    PEOPLE,
    CURSORS,
    LOADS,
    USAGE,
)


@dataclass(frozen=True, kw_only=True)
class Store:
    """An object store; an object lives `ttl` seconds after it was put (None: for good)."""

    name: str
    key: str
    keeps: str
    ttl: float | None = None
    max_bytes: int = 1024 * MIB
    written_by: tuple[str, ...] = ()

    @property
    def stream(self) -> str:
        """The stream beneath the store."""
        return f"OBJ_{self.name}"


MEDIA = Store(
    name="media",
    key="<account>/<media id>",
    keeps="pictures and voice fetched from WeChat, and answers read aloud",
    ttl=3 * DAY,
    written_by=("egress", "llm"),
)
KNOWLEDGE = Store(
    name="knowledge",
    key="<collection>/<document>",
    keeps="documents that answers are looked up in, cut into chunks",
    written_by=("operators",),
)
STORES = (MEDIA, KNOWLEDGE)

REPLICA = "replica.{service}.{name}"
"""In no stream: one replica of a service asks another for what only that one can know."""

SERVICES = ("ingress", "moderation", "context", "llm", "egress")
DEFAULT_PORTS = {"ingress": 8080, "moderation": 8180, "context": 8280, "llm": 8380, "egress": 8480}
"""Each service's own HTTP port where `QUEQIAO_HTTP_PORT` does not name one."""
