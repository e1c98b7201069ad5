"""What an AI bot shows at the moment: the platform asks again and again until it is final.

Egress writes it, ingress answers polls by it, so that any replica may be asked. Each answer
replaces what the user sees, therefore `text` is cumulative. Source: protocol reference 10.2.
"""

from msgspec import Struct

from queqiao_common.events import Millis


class Display(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The whole answer so far to one message of a user.

    Once `is_final` a poll answers `finish`, and the platform asks no more. `polled_ms` is about
    when somebody asked last, while it is not final. `items` name the deliveries that the text
    carries (egress's own references), `ai` says whether a model wrote any of it.
    """

    text: str = ""
    is_final: bool = False
    updated_ms: Millis = 0
    polled_ms: Millis = 0
    items: tuple[str, ...] = ()
    ai: bool = False


def display_key(account: str, msgid: str) -> str:
    """Return the key of a message's display in the `displays` bucket."""
    return f"{account}.{msgid}"
