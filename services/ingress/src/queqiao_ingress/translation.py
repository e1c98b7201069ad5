"""From a pushed message to the event that the services speak of. Pure.

Every type that WeChat documents has its place here; one that it will invent tomorrow is passed on
as `unsupported`, with all its fields.
"""

from msgspec import structs
from queqiao_common.events import InboundMessage, Media
from queqiao_common.ids import conversation_id
from queqiao_common.matching import first_fitting, occasions
from queqiao_common.settings import Account, Config, Rule
from queqiao_wechat.messages import (
    ImageMessage,
    LinkMessage,
    LocationMessage,
    Message,
    MiniProgramPageMessage,
    PlatformEvent,
    TextMessage,
    UnknownMessage,
    VideoMessage,
    VoiceMessage,
    dedupe_key,
    trigger_of,
)

SCENE_PREFIX = "qrscene_"
"""Stands before the scene where a QR code made its reader follow the account."""
PUBLISHED_EVENTS = frozenset(
    {
        "subscribe",
        "unsubscribe",
        "scan",
        "click",
        "user_enter_tempsession",
        "kf_create_session",
        "kf_close_session",
        "kf_switch_session",
        "user_info_modified",
        "user_authorization_revoke",
    }
)
"""The platform events that somebody further down acts on; the others are only acknowledged."""
GREETED = frozenset({"subscribe", "enter"})
"""The triggers that the welcome answers, where no rule does."""
ERASING_EVENTS = frozenset({"user_info_modified", "user_authorization_revoke"})
"""These name the user whom they are about in a field of their own (protocol reference 3.2)."""


def event_of(
    message: Message, account: Account, *, pepper: str, received_ms: int
) -> InboundMessage:
    """Return the event that says what a push said."""
    openid, msgid = _openid(message), dedupe_key(message)
    event = InboundMessage(
        id=f"wx:{account.id}:{msgid}",
        account=account.id,
        conv=conversation_id(pepper=pepper, account=account.id, openid=openid),
        openid=openid,
        msgid=msgid,
        received_ms=received_ms,
        kind="unsupported",
        msg_type=type_of(message),
        trigger=trigger_of(message),
        details=message.fields,
        sent_ms=message.created * 1000,
    )
    if isinstance(message, PlatformEvent):
        return structs.replace(
            event,
            kind="platform_event",
            platform_event=message.name,
            event_key=message.event_key,
            scene=_scene(message),
        )
    if media := _media(message):
        return structs.replace(event, media=media)
    text = _text(message)
    if not text.strip():
        return event
    menu_id = message.menu_id if isinstance(message, TextMessage) else ""
    return structs.replace(event, kind="text", text=text, menu_id=menu_id)


def is_published(message: Message) -> bool:
    """Whether anybody further down acts on a push."""
    if isinstance(message, PlatformEvent):
        return message.name in PUBLISHED_EVENTS and bool(_openid(message))
    return True


def expects_reply(event: InboundMessage, config: Config, account: Account) -> bool:
    """Whether a reply may follow an event, so that its request is worth holding.

    Of a platform event that is the welcome, or a rule that says something; else nobody would ever
    release the request, and a passive-only account would say that it is still thinking.
    """
    if event.kind != "platform_event":
        return True
    rule = _rule_for(event, config)
    if rule is not None:
        greets = rule.persona and config.persona(rule.persona).greeting
        return bool(rule.reply or rule.ask or rule.handover or rule.card or greets)
    return event.trigger in GREETED and bool(account.welcome)


def may_ask_for_person(event: InboundMessage, config: Config) -> bool:
    """Whether its answer may hand its user over to a person, for all that can be told here.

    Where the model or its failures may do that, any message's may.
    """
    settings = config.handover
    if not settings.enabled:
        return False
    rule = _rule_for(event, config)
    by_rule = rule is not None and rule.handover
    return by_rule or settings.by_any_message or event.text.strip() in settings.words


def _rule_for(event: InboundMessage, config: Config) -> Rule | None:
    """Return the operator's rule that a message or platform event sets off."""
    rules = (one for one in config.rules if not one.accounts or event.account in one.accounts)
    return first_fitting(rules, occasions(event, event.text))


def type_of(message: Message) -> str:
    """Return the `MsgType` that WeChat gave a message."""
    match message:
        case UnknownMessage(msg_type=msg_type):
            return msg_type
        case VideoMessage(short=True):
            return "shortvideo"
        case _:
            return str(message.__struct_config__.tag)


def _openid(message: Message) -> str:
    if isinstance(message, PlatformEvent) and message.name in ERASING_EVENTS:
        return message.fields.get("OpenID", "").strip() or message.from_user
    return message.from_user


def _scene(event: PlatformEvent) -> str:
    match event.name:
        case "scan":
            return event.event_key
        case "subscribe" if event.event_key.startswith(SCENE_PREFIX):
            return event.event_key.removeprefix(SCENE_PREFIX)
        case "user_enter_tempsession":
            return event.fields.get("SessionFrom", "")
        case _:
            return ""


def _media(message: Message) -> tuple[Media, ...]:
    match message:
        case ImageMessage(media_id=media_id, picture_url=url) if media_id or url:
            return (Media(kind="image", media_id=media_id, url=url),)
        case VoiceMessage(media_id=media_id, media_id_16k=better) if media_id or better:
            return (Media(kind="voice", media_id=better or media_id, format=message.format),)
        case VideoMessage(media_id=media_id) if media_id:
            return (Media(kind="video", media_id=media_id),)
        case _:
            return ()


def _text(message: Message) -> str:
    """Say what a message says in words that a model understands."""
    match message:
        case TextMessage(content=content):
            return content
        case LocationMessage(latitude=latitude, longitude=longitude, label=label):
            return f"[位置] {label}（纬度 {latitude:g}，经度 {longitude:g}）"
        case LinkMessage(title=title, description=description, url=url):
            return _lines("[链接]", title, description, url)
        case MiniProgramPageMessage(title=title, page_path=page_path):
            return _lines("[小程序页面]", title, page_path)
        case _:
            return ""


def _lines(mark: str, title: str, *more: str) -> str:
    return "\n".join([f"{mark} {title}".rstrip(), *(line for line in more if line)])
