"""From what the conversation recorded to what a chat can show."""

from collections.abc import Iterator

from queqiao_common.errors import SettingsError
from queqiao_common.events import Card, Delivery, Media, Menu
from queqiao_common.settings import Delivery as Settings
from queqiao_wechat.markdown import plain_text
from queqiao_wechat.text import clean_text, size

from queqiao_egress.channels.port import Traits
from queqiao_egress.pages import Attachment, Item, Items, Style
from queqiao_egress.plan import Rules


def items_of(delivery: Delivery, *, markdown: bool, picture: str) -> Items:
    """Return what a delivery says as it shall be read: none where nothing readable is left.

    Its text, or the voice that says it, goes under the delivery's own id; a menu, pictures and
    cards follow as items of their own, with words for channels that cannot show them (`picture`
    for a picture that has none). The same delivery is always dressed the same way, since
    references count its characters. Notices are the operator's own words and stay as they are.
    """
    keep = markdown or delivery.kind == "notice"
    dress = clean_text if keep else plain_text
    found = (*_spoken(delivery, dress(delivery.text).strip()), *_extras(delivery, picture))
    return tuple(item for item in found if item.text)


def _spoken(delivery: Delivery, text: str) -> Iterator[Item]:
    """Yield the text; voice says it where it can be heard, and a menu begins with it, or is it."""
    voices = [one for one in delivery.media if one.kind == "voice" and one.key and not one.trouble]
    if delivery.menu is not None and _says_the_same(delivery.text, text, delivery.menu):
        return
    attachment = Attachment(media=voices[0]) if len(voices) == 1 else None
    yield Item(id=delivery.id, text=text, ai=delivery.ai, attachment=attachment)


def _says_the_same(written: str, dressed: str, menu: Menu) -> bool:
    return dressed in ("", menu.head.strip()) or written.strip() == _in_words(menu).strip()


def _extras(delivery: Delivery, picture: str) -> Iterator[Item]:
    extras = [
        *_pictures(delivery.media, picture),
        *((_in_words(one), one) for one in _other(delivery)),
    ]
    for number, (text, what) in enumerate(extras, start=1):
        yield Item(
            id=f"{delivery.id}+{number}",
            text=clean_text(text).strip(),
            ai=delivery.ai,
            attachment=what if isinstance(what, Attachment) else _attached(what),
        )


def _pictures(media: tuple[Media, ...], picture: str) -> Iterator[tuple[str, Attachment]]:
    for one in media:
        if one.kind == "image" and one.key and not one.trouble:
            yield one.text or picture, Attachment(media=one)


def _other(delivery: Delivery) -> tuple[Menu | Card, ...]:
    return (*((delivery.menu,) if delivery.menu else ()), *delivery.cards)


def _attached(what: Menu | Card) -> Attachment:
    return Attachment(menu=what) if isinstance(what, Menu) else Attachment(card=what)


def _in_words(what: Menu | Card) -> str:
    """Return a menu as numbered lines, and a card as its title and address."""
    if isinstance(what, Card):
        return "\n".join(filter(None, (what.title, what.description, what.url)))
    lines = (f"{number}. {item.text}" for number, item in enumerate(what.items, start=1))
    return "\n".join(filter(None, (what.head, *lines, what.tail)))


def rules_of(settings: Settings, traits: Traits) -> Rules:
    """Return how messages of a channel look: passive replies have no mark of their own for AI text.

    Raises:
        SettingsError: label and note would fill more than half of a message.
    """
    problems = tuple(
        f"delivery.{name}: with delivery.label over half of delivery.max_bytes"
        for name in ("more", "cut")
        if 2 * size(settings.label + getattr(settings, name)) > settings.max_bytes
    )
    if problems:
        raise SettingsError(problems)
    # A channel whose messages may be longer than WeChat's has a limit of its own.
    limit_bytes = max(settings.max_bytes, traits.limit_bytes if traits.limit_bytes > MOST else 0)
    label_by_text = "" if traits.marks_ai else settings.label
    return Rules(
        passive=Style(limit_bytes=limit_bytes, label=settings.label, shows=traits.shows_passively),
        api=Style(limit_bytes=limit_bytes, label=label_by_text, shows=traits.shows),
        more=settings.more,
        cut=settings.cut,
    )


MOST = 2048
"""Bytes that every chat takes; `[delivery] max_bytes` is at most that."""
