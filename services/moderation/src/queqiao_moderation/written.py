"""All that a model writes for one piece of an answer: text, menu, cards, notes. Pure.

A user reads each of them, so each is judged, and the worst verdict is the piece's. A voice that
reads the text aloud says what was written before it was masked, so it leaves only with a pass.
"""

from collections.abc import Callable

from msgspec import structs
from queqiao_common.events import Card, Menu, ReplySegment, ScreenedSegment, Verdict

from queqiao_moderation.policy import Judgement

SEVERITY = (Verdict.PASS, Verdict.MASKED, Verdict.BLOCKED)


class Reader:
    """Judges texts one by one, and remembers the worst verdict."""

    def __init__(self, judge: Callable[[str], Judgement]) -> None:
        self._judge = judge
        self.verdict = Verdict.PASS

    def read(self, text: str) -> str:
        """Return what may be passed on of a text."""
        if not text:
            return text
        judgement = self._judge(text)
        self.verdict = max(self.verdict, judgement.verdict, key=SEVERITY.index)
        return judgement.text

    def read_menu(self, menu: Menu | None) -> Menu | None:
        """Return what may be passed on of a menu."""
        if menu is None:
            return None
        return structs.replace(
            menu,
            head=self.read(menu.head),
            items=tuple(structs.replace(one, text=self.read(one.text)) for one in menu.items),
            tail=self.read(menu.tail),
        )

    def read_card(self, card: Card) -> Card:
        """Return what may be passed on of a card."""
        title, description = self.read(card.title), self.read(card.description)
        return structs.replace(card, title=title, description=description)


def all_of(piece: ReplySegment) -> str:
    """Return everything of a piece that a user reads, as one text."""
    menu, cards = piece.menu, piece.cards
    lines = [piece.text]
    if menu is not None:
        lines += [menu.head, *(one.text for one in menu.items), menu.tail]
    lines += [f"{card.title}\n{card.description}" for card in cards]
    return "\n".join(filter(None, lines))


def screened(
    piece: ReplySegment, judge: Callable[[str], Judgement], *, refusal: str
) -> ScreenedSegment:
    """Return the piece as it may be shown; one that is blocked is nothing but the refusal."""
    reader = Reader(judge)
    text, menu = reader.read(piece.text), reader.read_menu(piece.menu)
    cards = tuple(reader.read_card(card) for card in piece.cards)
    notes = tuple(note for note in piece.notes if judge(note).verdict is Verdict.PASS)
    verdict = reader.verdict
    fields = structs.asdict(piece) | {"id": f"scr:{piece.id}", "notes": notes}
    if verdict is Verdict.BLOCKED:
        fields |= {"text": refusal, "menu": None, "cards": (), "notes": (), "media": ()}
    else:
        media = piece.media if verdict is Verdict.PASS else ()
        fields |= {"text": text, "menu": menu, "cards": cards, "media": media}
    return ScreenedSegment(**fields, verdict=verdict)
