"""Every event on the wire, in the order a message meets them.

Rules that let services be upgraded one at a time: a new field has a default, a field is never
renamed or reused, and a decoder ignores what it does not know. `tests/golden/` keeps every event
ever released, encoded, and a test decodes them all.
"""

from enum import StrEnum
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta, Struct

AccountId = Annotated[str, Meta(pattern="^[a-z0-9_-]+$", description="`[[accounts]]` id")]
ConvId = Annotated[str, Meta(description="`c_` and a keyed hash of account and openid")]
TurnId = Annotated[str, Meta(description="`<account>.<conv>.<number>`, the number grows")]
RouteId = Annotated[str, Meta(pattern="^[a-z0-9_-]+$", description="a key of `[routes]`")]
Millis = Annotated[int, Meta(description="Unix time in milliseconds, UTC")]

Trigger = Literal["message", "menu", "subscribe", "scan", "enter", "none"]
"""What the user did, which decides how many customer-service messages it allows."""


class Verdict(StrEnum):
    """What moderation says of a text."""

    PASS = "pass"  # noqa: S105 - a verdict
    MASKED = "masked"
    BLOCKED = "blocked"
    THROTTLED = "throttled"
    FAILED = "failed"  # the event was buried; the conversation must not wait for it


class Event(Struct, frozen=True, kw_only=True, tag_field="event", omit_defaults=True):
    """What every event carries. A repeated cause repeats the `id`, and the stream drops it."""

    id: str
    account: AccountId


class Media(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A picture, voice or video. `key` is its place in the object store `media`, once it is there.

    `url` and `media_id` are WeChat's; `text` is what was heard in a voice message. `trouble` says
    why it cannot be used: `gone`, `too_large`, `failed`, `no_speech` or `unclear`.
    """

    kind: str  # image, voice, video
    media_id: str = ""
    url: str = ""
    format: str = ""
    key: str = ""
    mime: str = ""
    text: str = ""
    trouble: str = ""


class MenuItem(Struct, frozen=True):
    """One line of a menu inside the chat; a tap sends `text` with `id`."""

    id: str
    text: str


class Menu(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A menu inside the chat: tappable where the channel can (`msgmenu`), numbered text elsewhere.

    Source: protocol reference 6.2.
    """

    head: str
    items: tuple[MenuItem, ...]
    tail: str = ""


class Card(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A card: a page with a picture (news), or with `appid` a page of a Mini Program."""

    title: str
    description: str = ""
    url: str = ""
    picture_url: str = ""
    appid: str = ""
    page_path: str = ""
    picture_key: str = ""  # in the object store `media`, for a Mini Program's card


class Usage(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an answer took: tokens as the model counted them, and millionths of the currency."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_micros: int = 0


class Waiting(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A user's message whose HTTP request may still be open for a passive reply.

    `ticket` is what entitles to one answer later: the `response_url` of an AI bot, the welcome
    code of WeChat Customer Service. `sent_ms` is as in `InboundMessage`.
    """

    msgid: str
    received_ms: Millis
    trigger: Trigger = "message"
    ticket: str = ""
    sent_ms: Millis = 0


class InboundMessage(Event, tag="InboundMessage", frozen=True, kw_only=True, omit_defaults=True):
    """A verified, decrypted, parsed message or platform event of one user.

    `kind` stays `unsupported` for what carries `media`, so that a service which does not know of it
    says so. `peer` is whom the user wrote to where an account has several (kf: `open_kfid`).
    `menu_id` names the tapped item of a menu in the chat, `scene` the QR code that was scanned, and
    `details` are the other fields of a platform event. `sent_ms` is when the user wrote, by the
    clock of WeChat and to the second; 0 where that is not known.
    """

    conv: ConvId
    openid: str
    msgid: str
    received_ms: Millis
    kind: Literal["text", "platform_event", "unsupported"] = "text"
    text: str = ""
    msg_type: str = "text"
    platform_event: str = ""
    event_key: str = ""
    trigger: Trigger = "message"
    media: tuple[Media, ...] = ()
    menu_id: str = ""
    scene: str = ""
    details: dict[str, str] = msgspec.field(default_factory=dict)
    peer: str = ""
    ticket: str = ""
    sent_ms: Millis = 0


class MediaEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A message whose media are on their way; `sequence` is the message's place in its stream."""

    conv: ConvId
    sequence: int
    message: InboundMessage


class MediaWanted(MediaEvent, tag="MediaWanted", frozen=True, kw_only=True, omit_defaults=True):
    """Its media are to be fetched from WeChat before the message can be screened."""


class MediaFetched(MediaEvent, tag="MediaFetched", frozen=True, kw_only=True, omit_defaults=True):
    """Its media are in the object store; what is voice is to be turned into text."""


class MediaReady(MediaEvent, tag="MediaReady", frozen=True, kw_only=True, omit_defaults=True):
    """Its media are as useful as they can be made: the message can be screened."""


class PullWanted(Event, tag="PullWanted", frozen=True, kw_only=True, omit_defaults=True):
    """WeChat Customer Service has messages for `peer` (an `open_kfid`), to be pulled.

    `token` is the callback's, good for ten minutes. Source: protocol reference 10.3.
    """

    peer: str
    token: str = ""
    received_ms: Millis = 0


class ScreenedMessage(Event, tag="ScreenedMessage", frozen=True, kw_only=True, omit_defaults=True):
    """The same message with moderation's verdict.

    `sequence` is the place of the `InboundMessage` in its stream: the conversation absorbs by it.
    `message` is None where the inbound event could not even be decoded.
    """

    conv: ConvId
    sequence: int
    verdict: Verdict
    message: InboundMessage | None = None
    text: str = ""


class Prompt(Struct, frozen=True, omit_defaults=True):
    """One message before the model; `media` are keys of pictures in the object store `media`."""

    role: Literal["system", "user", "assistant"]
    content: str
    media: tuple[str, ...] = ()


class CompletionRequest(
    Event, tag="CompletionRequest", frozen=True, kw_only=True, omit_defaults=True
):
    """One turn for a model: the whole prompt, so that llm keeps no state and scales alone.

    The first message of the prompt is the persona's, the last the question. Until `window_ms` a
    user's request is held open (0: none is). `purpose` is `answer`, or `summary`: then the prompt
    is a conversation to be summarised up to turn `upto`, and a `Summarised` answers it.
    """

    conv: ConvId
    turn_id: TurnId
    route: RouteId
    prompt: tuple[Prompt, ...]
    deadline_ms: Millis
    persona: str = ""
    window_ms: Millis = 0
    purpose: str = "answer"
    upto: int = 0
    menu_id: str = ""


class ReplySegment(Event, tag="ReplySegment", frozen=True, kw_only=True, omit_defaults=True):
    """One finished piece of an answer, cut where a paragraph ends.

    `attempt` grows with every run of a model for this turn; pieces of two runs are never mixed.
    `failed` says that no model of the route could answer; its text is then empty and final.
    `notice`: the text is ours (a refusal, a menu), not a model's. `handover`: give the conversation
    to a person once this is said. `notes` are facts about the user to be remembered.
    """

    conv: ConvId
    turn_id: TurnId
    number: Annotated[int, Meta(ge=0)]  # from 0, without gaps, within one attempt
    attempt: Annotated[int, Meta(ge=1)]
    text: str
    final: bool = False
    failed: bool = False
    model: str = ""
    notice: bool = False
    handover: bool = False
    notes: tuple[str, ...] = ()
    usage: Usage | None = None
    menu: Menu | None = None
    media: tuple[Media, ...] = ()
    cards: tuple[Card, ...] = ()


class ScreenedSegment(Event, tag="ScreenedSegment", frozen=True, kw_only=True, omit_defaults=True):
    """The piece after output screening."""

    conv: ConvId
    turn_id: TurnId
    number: Annotated[int, Meta(ge=0)]
    attempt: Annotated[int, Meta(ge=1)]
    text: str
    verdict: Verdict
    final: bool = False
    failed: bool = False
    model: str = ""
    notice: bool = False
    handover: bool = False
    notes: tuple[str, ...] = ()
    usage: Usage | None = None
    menu: Menu | None = None
    media: tuple[Media, ...] = ()
    cards: tuple[Card, ...] = ()


class Summarised(Event, tag="Summarised", frozen=True, kw_only=True, omit_defaults=True):
    """The summary of a conversation up to and including turn `upto`; empty where none was made.

    `notes` are facts about the user that the summary names apart.
    """

    conv: ConvId
    upto: int
    text: str = ""
    notes: tuple[str, ...] = ()


class Delivery(Event, tag="Delivery", frozen=True, kw_only=True, omit_defaults=True):
    """What one user shall read next: recorded in the conversation, released in order.

    `id` is `<turn_id>.<n>`. `waiting` are the messages it answers, oldest first: any of their open
    requests may carry it. A `collect` has no text of its own: it asks egress to hand parked replies
    to the waiting request of a passive-only account.
    """

    conv: ConvId
    openid: str
    turn_id: TurnId
    kind: Literal["answer", "notice", "collect"] = "answer"
    text: str = ""
    final: bool = True
    ai: bool = False  # written by a model: to be labelled
    waiting: tuple[Waiting, ...] = ()
    parked: int = 0  # parts in the mailbox, as far as the conversation knows: they go first
    peer: str = ""  # kf: the `open_kfid` that the user wrote to
    page: str = ""  # id of the page that shows the whole answer, where there is one
    transfer: bool = False  # hand the user over to the platform's agents, after the text
    back: bool = False  # take the user back from them, before the text
    menu: Menu | None = None
    media: tuple[Media, ...] = ()  # in the object store: voice that says the text, pictures
    cards: tuple[Card, ...] = ()


class DeliveryResult(Event, tag="DeliveryResult", frozen=True, kw_only=True, omit_defaults=True):
    """What became of a `Delivery`; `reasons` are the reply plan's, for operators to read."""

    conv: ConvId
    turn_id: TurnId
    delivery_id: str
    status: Literal["delivered", "failed", "parked"]
    via: Literal["passive", "api", "mailbox", "none"] = "none"
    parts: int = 0
    parked: int = 0  # parts that wait in the mailbox for the user's next message
    errcode: int = 0
    reasons: tuple[str, ...] = ()
    msgids: tuple[str, ...] = ()
    unreached: bool = False  # it was to hand the user over to people, and could not


class Form(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a passive reply is when it is not a text: `transfer`, `image`, `voice` or `news`.

    Source: protocol reference 4.
    """

    kind: str
    media_id: str = ""
    card: Card | None = None
    agent: str = ""  # `KfAccount` of the agent to transfer to; empty: any


class PassiveOffer(Event, tag="PassiveOffer", frozen=True, kw_only=True, omit_defaults=True):
    """A reply for the HTTP request that still waits on `msgid`.

    With `now` it is to be given at once; without, only if the last window ends before a better one
    comes. `items` name the deliveries (or mailbox items) that the text carries.
    """

    conv: ConvId
    msgid: str
    text: str
    items: tuple[str, ...]
    now: bool = True
    form: Form | None = None


class WindowMissed(Event, tag="WindowMissed", frozen=True, kw_only=True, omit_defaults=True):
    """The request was answered `success` without a reply: the answer comes by API, later."""

    conv: ConvId
    openid: str
    msgid: str


class ReplyGiven(Event, tag="ReplyGiven", frozen=True, kw_only=True, omit_defaults=True):
    """The answer that a message's claim holds has left, with delivery number `delivery`.

    A claim decides who answers, before anybody has; what comes next in the conversation waits for
    this, or it could overtake a reply that is still on its way out (docs/adr/0005).
    """

    msgid: str
    delivery: int = 1


class TurnTimeout(Event, tag="TurnTimeout", frozen=True, kw_only=True, omit_defaults=True):
    """The deadline of a turn, kept by the broker rather than by a process."""

    conv: ConvId
    turn_id: TurnId


class DeadLetter(Event, tag="DeadLetter", frozen=True, kw_only=True, omit_defaults=True):
    """An event that could not be processed, with why, how often, and its trace."""

    subject: str
    stream: str
    sequence: int
    consumer: str
    reason: str
    attempts: int
    body: bytes
    headers: dict[str, str] = msgspec.field(default_factory=dict)


AnyEvent = (
    InboundMessage
    | ScreenedMessage
    | CompletionRequest
    | ReplySegment
    | ScreenedSegment
    | Delivery
    | DeliveryResult
    | PassiveOffer
    | WindowMissed
    | ReplyGiven
    | MediaWanted
    | MediaFetched
    | MediaReady
    | PullWanted
    | Summarised
    | TurnTimeout
    | DeadLetter
)
EVENT_TYPES: tuple[type[Event], ...] = get_args(AnyEvent)


class GivenUp(
    Event,
    tag_field="type",
    tag="io.nats.jetstream.advisory.v1.max_deliver",
    frozen=True,
    kw_only=True,
    omit_defaults=True,
):
    """The broker's own word that it delivers an event no more: nobody acknowledged it in time."""

    account: AccountId = ""
    stream: str
    consumer: str
    stream_seq: int
    deliveries: int


UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError)
"""What decoding bytes from the wire may raise."""

encoder = msgspec.json.Encoder()


def encode(event: Struct) -> bytes:
    """Encode an event, or any of our documents, as JSON."""
    return encoder.encode(event)
