"""Word lists: as configured, and as an operator has changed them while the services run."""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct
from queqiao_common import settings
from queqiao_common.answers import Raw
from queqiao_common.bus import Bus
from queqiao_common.errors import SettingsError
from queqiao_common.events import UNREADABLE
from queqiao_common.kv import Documents
from queqiao_common.topology import POLICY

from queqiao_moderation.policy import Action, Direction, Policy, ScreeningList
from queqiao_moderation.words import Words

log = logging.getLogger(__name__)

LONGEST = 100
"""Characters of a word; a longer line is a file that is not a word list."""
KEYS = f"$KV.{POLICY.name}.words."

Word = Annotated[str, Meta(max_length=LONGEST)]


class ListDocument(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator writes to `words.<list>`: it replaces the list of that name, or adds one."""

    action: Action = "block"
    words: tuple[Word, ...] = ()
    directions: tuple[Direction, ...] = ("in", "out")


_decode = msgspec.json.Decoder(ListDocument).decode


def read_lists(moderation: settings.Moderation) -> dict[str, ScreeningList]:
    """Read the configured lists with their files.

    Raises:
        SettingsError: a file cannot be read, or a line of it is no word; all are named.
    """
    problems: list[str] = []
    lists = {}
    for one in moderation.lists:
        words = (*one.words, *(_read_file(one.file, problems) if one.file else ()))
        lists[one.name] = ScreeningList(one.name, one.action, one.directions, Words(words))
    if problems:
        raise SettingsError(tuple(problems), source="moderation.lists")
    return lists


def _read_file(name: str, problems: list[str]) -> tuple[str, ...]:
    try:
        return parse_words(Path(name).read_bytes(), name)
    except SettingsError as error:
        problems += error.problems
    except OSError as error:
        problems.append(f"{name}: cannot be read: {error.strerror}")
    return ()


def parse_words(body: bytes, name: str) -> tuple[str, ...]:
    """Read one word a line; `#` begins a comment, empty lines do not count.

    Raises:
        SettingsError: with each wrong line as `name:line`.
    """
    words: list[str] = []
    problems: list[str] = []
    for number, line in enumerate(body.removeprefix(b"\xef\xbb\xbf").splitlines(), start=1):
        try:
            word = line.decode().partition("#")[0].strip()
        except UnicodeDecodeError:
            problems.append(f"{name}:{number}: not UTF-8")
            continue
        if len(word) > LONGEST:
            problems.append(f"{name}:{number}: longer than {LONGEST} characters")
        elif word:
            words.append(word)
    if problems:
        raise SettingsError(tuple(problems))
    return tuple(words)


class LiveLists:
    """The policy of the moment: the configured lists, with what operators wrote over them."""

    def __init__(self, moderation: settings.Moderation) -> None:
        self._configured = read_lists(moderation)
        self._allow = Words(moderation.allow)
        self._mask = moderation.mask
        self._lists: dict[str, ScreeningList] = dict(self._configured)
        self._policy = self._compose()

    @property
    def policy(self) -> Policy:
        """What holds now."""
        return self._policy

    async def catch_up(self, bus: Bus, documents: Documents[ListDocument]) -> None:
        """Take over what operators had written before this process began.

        Raises:
            BrokerUnavailable: the broker did not answer.
        """
        for name in await written_lists(bus):
            try:
                document = (await documents.get(f"words.{name}")).value
            except UNREADABLE as error:
                _complain(name, error)
            else:
                self._replace(name, document)

    def hear(self, raw: Raw) -> None:
        """Take over one change. A document that cannot be read changes nothing."""
        if not raw.subject.startswith(KEYS):
            return
        name = raw.subject.removeprefix(KEYS)
        try:
            document = None if _is_deletion(raw.headers) else _decode(raw.data)
        except UNREADABLE as error:
            _complain(name, error)
        else:
            self._replace(name, document)

    def _replace(self, name: str, document: ListDocument | None) -> None:
        """Put a list in the place of the one of this name; None: the configured one again."""
        if document is not None:
            words = Words(document.words)
            self._lists[name] = ScreeningList(name, document.action, document.directions, words)
        elif name in self._configured:
            self._lists[name] = self._configured[name]
        else:
            self._lists.pop(name, None)
        self._policy = self._compose()
        count = len(self._lists[name].words) if name in self._lists else 0
        log.info("words.changed", extra={"list": name, "words": count})

    def _compose(self) -> Policy:
        return Policy(self._lists.values(), allow=self._allow, mask=self._mask)


class _State(Struct):
    subjects: dict[str, int] | None = None


class _Info(Struct):
    state: _State


async def written_lists(bus: Bus) -> Iterator[str]:
    """Return the names of the lists that operators have written."""
    answer = await bus.api(f"STREAM.INFO.{POLICY.stream}", {"subjects_filter": f"{KEYS}>"})
    subjects = msgspec.json.decode(answer, type=_Info).state.subjects or {}
    return (subject.removeprefix(KEYS) for subject in sorted(subjects))


def _is_deletion(headers: Mapping[str, str] | None) -> bool:
    return not {"KV-Operation", "Nats-Marker-Reason"}.isdisjoint(headers or ())


def _complain(name: str, error: Exception) -> None:
    log.error("words.unreadable", extra={"list": name, "detail": str(error)[:200]})
