"""The oracle of the chaos suite: what the users saw, against what they asked. Pure.

The transcript alone condemns. Two facts are read from the broker's streams, since no user can see
them: in which order questions were accepted (a question that WeChat had to deliver twice is
rightly answered after a quicker one), and which questions an apology stands for.
"""

import itertools
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from queqiao_testbed.ledger import MARK

ANSWER = re.compile(r"答：")
PARAGRAPH = re.compile(r"第(\d+)段。")
CUT = "后面的没有发完"

CHATS = 2
"""How many users' chats are told in evidence of a broken promise."""
TOLD = 100
"""Characters of each of their messages."""

NAMED = 24
"""How many questions a delivery names at most, the newest (context's `MAX_WAITING`)."""

User = tuple[str, str]
"""Account and name."""
Entry = Mapping[str, Any]
"""A line of the simulator's transcript."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """One question; its answer has `paragraphs` paragraphs and shows `mark` in the first."""

    user: User
    mark: str
    msgid: str
    paragraphs: int = 1


@dataclass(frozen=True, kw_only=True)
class Journal:
    """What the streams say: who was accepted when, what was apologised for, what was in doubt.

    `accepted` is the place of each mark's message in its stream; `apologies` are the marks that
    each delivered apology (or request for patience) stands for; `doubts` are parts that an egress
    replica had to repeat without knowing whether WeChat had shown them, by user, and `unanswered`
    those of them that were repeated as WeChat's answer was lost; `redelivered` are the messages (by
    WeChat's id) that WeChat had to deliver again.
    """

    accepted: Mapping[str, int]
    apologies: tuple[frozenset[str], ...] = ()
    doubts: Mapping[User, int] = field(default_factory=dict)
    unanswered: Mapping[User, int] = field(default_factory=dict)
    redelivered: frozenset[str] = frozenset()

    @property
    def excused(self) -> frozenset[str]:
        """Every mark that some apology stands for."""
        return frozenset().union(*self.apologies)


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What was found; marks, and one entry for each case. Empty tuples are kept promises."""

    questions: int = 0
    answered: int = 0
    refused: int = 0  # never acknowledged: WeChat itself told the user
    excused: int = 0
    apologies: int = 0
    unanswered: tuple[str, ...] = ()  # refused, excused or lost
    lost: tuple[str, ...] = ()
    torn: tuple[str, ...] = ()  # a part of the answer is missing
    doubled: tuple[str, ...] = ()  # beyond the parts that were in doubt
    doubted: int = 0  # shown twice, and counted as such by egress
    orphaned: int = 0  # of these, as many as had a sender that was gone
    headless: tuple[str, ...] = ()  # its beginning went into a request that WeChat had given up
    swapped: tuple[str, ...] = ()
    jumbled: tuple[str, ...] = ()  # a later part of the answer came before its beginning
    crossed: tuple[str, ...] = ()
    longest: float = 0.0  # seconds from a question to its answer, where the API exists
    slowest: str = ""
    evidence: tuple[str, ...] = ()  # the chats of users to whom a promise was broken

    def __add__(self, other: "Findings") -> "Findings":
        return Findings(
            questions=self.questions + other.questions,
            answered=self.answered + other.answered,
            refused=self.refused + other.refused,
            excused=self.excused + other.excused,
            apologies=self.apologies + other.apologies,
            unanswered=self.unanswered + other.unanswered,
            lost=self.lost + other.lost,
            torn=self.torn + other.torn,
            doubled=self.doubled + other.doubled,
            doubted=self.doubted + other.doubted,
            orphaned=self.orphaned + other.orphaned,
            headless=self.headless + other.headless,
            swapped=self.swapped + other.swapped,
            jumbled=self.jumbled + other.jumbled,
            crossed=self.crossed + other.crossed,
            longest=max(self.longest, other.longest),
            slowest=self.slowest if self.longest >= other.longest else other.slowest,
            evidence=self.evidence + other.evidence,
        )

    @property
    def is_clean(self) -> bool:
        """Whether every promise was kept."""
        wrong = (self.lost, self.torn, self.doubled, self.swapped, self.jumbled, self.crossed)
        return not any(wrong)


@dataclass
class Shown:
    """The answers that one user saw, by their heads: the marks that each begins with.

    `tails` are the paragraphs between a head and the next one; `paragraphs` are all of them, and
    `again` those that came with a repeated head. `loose` are the messages without any head, and
    `cut` the heads whose answer was ended by a word that the quota did not allow the rest.
    """

    order: list[str] = field(default_factory=list)
    heads: list[tuple[str, ...]] = field(default_factory=list)
    repeats: list[str] = field(default_factory=list)
    tails: dict[tuple[str, ...], Counter[int]] = field(default_factory=dict)
    paragraphs: Counter[int] = field(default_factory=Counter)
    again: Counter[int] = field(default_factory=Counter)
    loose: list[Counter[int]] = field(default_factory=list)
    cut: set[tuple[str, ...]] = field(default_factory=set)


def audit(
    questions: Iterable[Question],
    transcript: Mapping[User, Sequence[Entry]],
    journal: Journal,
    *,
    sorry: Sequence[str],
) -> Findings:
    """Judge every user's chat; `sorry` are texts that stand for an answer."""
    asked: dict[User, list[Question]] = {}
    for question in questions:
        asked.setdefault(question.user, []).append(question)
    found, told = Findings(), 0
    for user, own in asked.items():
        entries = transcript.get(user, ())
        one = audit_user(user, own, entries, journal, sorry=sorry)
        if not one.is_clean and told < CHATS:
            told += 1
            one = replace(one, evidence=tuple(_told(user, entry) for entry in entries))
        found += one
    return found


def _told(user: User, entry: Entry) -> str:
    """Write a line of a chat as evidence."""
    about = entry.get("in_reply_to") or entry.get("msgid") or ""
    text = str(entry["text"])[:TOLD]
    return f"{'/'.join(user)} {entry['at']:.1f} {entry['who']} {about} {text!r}"


def audit_user(
    user: User,
    questions: Sequence[Question],
    entries: Sequence[Entry],
    journal: Journal,
    *,
    sorry: Sequence[str],
) -> Findings:
    """Judge one user's chat."""
    replies = [entry for entry in entries if entry["who"] == "account"]
    shown = read_answers([str(entry["text"]) for entry in replies])
    known = {question.mark: question for question in questions}
    missing = [one for one in questions if one.mark not in shown.order]
    given_up = {entry["in_reply_to"] for entry in entries if entry["who"] == "platform"}
    refused = [one for one in missing if one.msgid in given_up]
    apologies = sum(_count(entry, sorry) for entry in replies)
    owed = [one for one in missing if one not in refused]
    lost = _unexcused(owed, replies, journal, sorry=sorry)
    doubts = journal.doubts.get(user, 0)
    parts = _parts(shown, known, journal, refused)
    repeats = shown.repeats + parts.repeats
    longest, slowest = _slowest(questions, entries) if user[0] != "sub" else (0.0, "")
    return Findings(
        questions=len(questions),
        answered=len(questions) - len(missing),
        refused=len(refused),
        excused=len(owed) - len(lost),
        apologies=apologies,
        unanswered=tuple(one.mark for one in missing),
        lost=lost,
        torn=parts.missing,
        doubled=tuple(repeats[doubts:]),
        doubted=min(doubts, len(repeats)),
        orphaned=min(len(repeats), doubts - journal.unanswered.get(user, 0)),
        headless=parts.headless,
        swapped=tuple(_swapped(shown.order, known, journal)),
        jumbled=tuple(one for one in parts.late if known[one].msgid not in journal.redelivered),
        crossed=tuple(one for one in shown.order if one not in known),
        longest=longest,
        slowest=slowest,
    )


def _unexcused(
    owed: Sequence[Question],
    replies: Sequence[Entry],
    journal: Journal,
    *,
    sorry: Sequence[str],
) -> tuple[str, ...]:
    """Return the marks that no apology stands for, of those without an answer.

    An apology that answers a question's own request stands for it, and for what it names besides;
    every other has to have been seen: each that the user saw stands for one that was delivered.
    """
    told = {entry["in_reply_to"] for entry in replies if _count(entry, sorry)}
    excused = {one.mark for one in owed if one.msgid in told}
    seen = sum(_count(entry, sorry) for entry in replies) - len(excused)
    marks = {one.mark for one in owed}
    for apology in journal.apologies:
        if apology & excused:
            excused |= apology & marks
        elif apology & marks and seen > 0:
            seen -= 1
            excused |= apology & marks
        else:
            continue
        if len(apology) >= NAMED:
            excused |= _unnamed(apology, marks, journal)
    return tuple(one.mark for one in owed if one.mark not in excused)


def _unnamed(apology: frozenset[str], owed: Collection[str], journal: Journal) -> set[str]:
    """Return the questions without an answer that came right before all that an apology names."""
    first = min((journal.accepted.get(mark, 0) for mark in apology), default=0)
    users = {mark.rpartition("-")[0] for mark in apology}
    earlier = sorted(
        (place, mark)
        for mark, place in journal.accepted.items()
        if place < first and mark.rpartition("-")[0] in users
    )
    return {mark for _, mark in itertools.takewhile(lambda one: one[1] in owed, reversed(earlier))}


def read_answers(texts: Sequence[str]) -> Shown:
    """Read the answers in the order in which they were shown.

    Texts are joined, as one message may end an answer and begin the next; an answer begins where
    the fake model says so, with the marks of the questions that it answers.
    """
    shown = Shown(
        repeats=_repeats(texts),
        loose=[_paragraphs(text) for text in texts if not ANSWER.search(text)],
    )
    before, *chunks = ANSWER.split("\n".join(texts))
    shown.paragraphs.update(_paragraphs(before))
    for chunk in chunks:
        head = tuple(dict.fromkeys(match[0] for match in MARK.finditer(chunk)))
        seen = _paragraphs(chunk)
        shown.paragraphs.update(seen)
        if not head:
            continue
        if head[0] in shown.order:
            shown.again.update(seen)
        else:
            shown.heads.append(head)
        if CUT in chunk:
            shown.cut.add(head)
        shown.order += [one for one in head if one not in shown.order]
        shown.tails.setdefault(head, Counter()).update(seen)
    return shown


def _repeats(texts: Sequence[str]) -> list[str]:
    """Name what came again, once for each message: it is a message that egress may repeat."""
    known: set[str] = set()
    repeats = []
    for text in texts:
        heads = [found[0] for chunk in ANSWER.split(text)[1:] if (found := MARK.search(chunk))]
        if again := [head for head in heads if head in known]:
            repeats.append(again[0])
        known.update(match[0] for chunk in ANSWER.split(text)[1:] for match in MARK.finditer(chunk))
    return repeats


def _paragraphs(text: str) -> Counter[int]:
    return Counter(int(match[1]) for match in PARAGRAPH.finditer(text))


@dataclass(frozen=True)
class Parts:
    """Answers whose paragraphs are not where they should be."""

    missing: tuple[str, ...]
    late: tuple[str, ...]
    headless: tuple[str, ...]
    repeats: list[str]


def _parts(
    shown: Shown, known: Mapping[str, Question], journal: Journal, refused: Sequence[Question]
) -> Parts:
    """Compare the paragraphs that were due with those that were shown.

    A merged question is answered once, in the length that its last part asked for. Of an answer to
    a `refused` question the user may see what follows its beginning, which went into a request that
    WeChat had given up: those paragraphs are no repeats.
    """
    due: Counter[int] = Counter()
    needed: Counter[int] = Counter()
    lacking: list[str] = []
    for head in shown.heads:
        lengths = [known[one].paragraphs for one in head if one in known]
        wanted = Counter(range(2, next((n for n in reversed(lengths) if n > 1), 1) + 1))
        if any(one in journal.excused for one in head):
            due.update(shown.tails[head])  # ended by the apology, wherever that was
            needed.update(shown.tails[head])
            continue
        due.update(wanted)
        if head in shown.cut:
            continue
        needed.update(wanted)
        if wanted - shown.tails[head] and head[0] in known:
            lacking.append(head[0])
    is_missing = bool(needed - shown.paragraphs)
    extra = shown.paragraphs - due - shown.again
    headless: list[str] = []
    for question in refused:
        rest = extra & Counter(range(2, question.paragraphs + 1))
        if rest:
            extra -= rest
            headless.append(question.mark)
    return Parts(
        missing=tuple(lacking) if is_missing else (),
        late=() if is_missing else tuple(lacking),
        headless=tuple(headless),
        repeats=_repeated_messages(extra, shown.loose),
    )


def _repeated_messages(extra: Counter[int], loose: Sequence[Counter[int]]) -> list[str]:
    """Tell in how few messages the paragraphs came that were one too many."""
    found = []
    for message in sorted(loose, key=Counter.total, reverse=True):
        if message and message <= extra:
            extra = extra - message
            found.append("paragraph " + ", ".join(str(number) for number in sorted(message)))
    return found + [f"paragraph {number}" for number in extra.elements()]


def _count(entry: Entry, sorry: Sequence[str]) -> int:
    """Count the apologies in a message: what was parked is shown together."""
    return sum(entry["text"].count(text) for text in sorry)


def _swapped(
    order: Sequence[str], known: Mapping[str, Question], journal: Journal
) -> Iterable[str]:
    places = {mark: journal.accepted.get(mark, 0) for mark in order if mark in known}
    right = sorted(places, key=lambda mark: places[mark])
    return (one for one, other in zip(places, right, strict=True) if one != other)


def _slowest(questions: Sequence[Question], entries: Sequence[Entry]) -> tuple[float, str]:
    """Return the longest time from a question to its answer, and the question's mark."""
    asked = {entry["msgid"]: entry["at"] for entry in entries if entry["who"] == "user"}
    first: dict[str, float] = {}
    for entry in entries:
        if entry["who"] == "account":
            for match in MARK.finditer(entry["text"]):
                first.setdefault(match[0], entry["at"])
    waited = [
        (first[one.mark] - asked[one.msgid], one.mark)
        for one in questions
        if one.mark in first and one.msgid in asked
    ]
    return max(waited, default=(0.0, ""))
