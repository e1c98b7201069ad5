"""From what the conversation recorded to what a chat can show."""

from queqiao_common.errors import SettingsError
from queqiao_common.events import Delivery
from queqiao_common.settings import Delivery as Settings
from queqiao_wechat.markdown import plain_text
from queqiao_wechat.text import clean_text, size

from queqiao_egress.pages import Item, Items, Style
from queqiao_egress.plan import Rules


def items_of(delivery: Delivery, *, markdown: bool) -> Items:
    """Return the delivery's text as it shall be read: none where nothing readable is left.

    The same delivery is always dressed the same way, since references count its characters.
    Notices are the operator's own words and stay as they are.
    """
    keep = markdown or delivery.kind == "notice"
    text = (clean_text if keep else plain_text)(delivery.text).strip()
    return (Item(id=delivery.id, text=text, ai=delivery.ai),) if text else ()


def rules_of(settings: Settings) -> Rules:
    """Return how messages look: passive replies have no mark of their own for AI text.

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
    label_by_text = "" if settings.label_by_api else settings.label
    return Rules(
        passive=Style(limit_bytes=settings.max_bytes, label=settings.label),
        api=Style(limit_bytes=settings.max_bytes, label=label_by_text),
        more=settings.more,
        cut=settings.cut,
    )
