"""The handler before the models: a turn that the cache can answer never reaches one."""

import dataclasses
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from functools import partial

from msgspec import Struct, structs
from queqiao_common import telemetry
from queqiao_common.events import CompletionRequest, Menu, MenuItem, ReplySegment
from queqiao_common.kv import Documents
from queqiao_common.settings import Config, Model

from queqiao_llm import menu, metrics
from queqiao_llm.answers import NO_KNOWLEDGE, WARMING, Answer, key_of, persona_of, shelf_of
from queqiao_llm.book import Book
from queqiao_llm.cacheable import first_question, unfit
from queqiao_llm.flights import Flights
from queqiao_llm.lookup import Given, Offered, choose, nearly
from queqiao_llm.runs import Said, Turn, first_run
from queqiao_llm.segments import Segmenter

RESULT = "queqiao.cache.result"
SCORE = "queqiao.cache.score"
MODEL = "cache"
"""What stands in the place of the model's name in an answer that none wrote."""
LONGEST = 20_000
"""Characters of an answer that is kept."""

Write = Callable[[Turn], AsyncIterator[Said]]


class Asked(Struct, frozen=True):
    """A question that may be answered from the cache; `is_exact`: only by its very own answer.

    `found_as` is the result to be noted when that is there.
    """

    shelf: str
    question: str
    is_exact: bool = False
    found_as: str = "exact"

    @property
    def key(self) -> str:
        """Its key in the bucket."""
        return key_of(self.shelf, self.question)


class Caching:
    """Answers from the cache, has the models write the rest, and keeps what is for everybody."""

    def __init__(
        self,
        write: Write,
        *,
        config: Config,
        routes: Mapping[str, tuple[Model, ...]],
        book: Book,
        documents: Documents[Answer],
        flights: Flights,
        now_ms: Callable[[], int],
        version: Callable[[str], str] = lambda _: NO_KNOWLEDGE,
    ) -> None:
        self._write = write
        self._version = version
        self._rules = config.cache
        if config.context.max_messages < 2:  # the menu would not be there when its number comes
            self._rules = structs.replace(config.cache, menu="off")
        self._segment_bytes = config.llm.segment_bytes
        self._private = {
            one.prompt for one in config.personas.values() if one.tools or not one.cache
        }
        self._routes = routes
        self._book = book
        self._documents = documents
        self._flights = flights
        self._now_ms = now_ms

    async def answer(self, turn: Turn) -> AsyncIterator[ReplySegment]:
        """Answer one turn: from the cache, by a menu, or by a model, once for all who ask."""
        turn, asked = self._read(turn)
        if asked is None:
            async for said in self._written(turn):
                yield said.segment
            return
        match self._look_up(asked):
            case Given(answer):
                self._book.use(key_of(asked.shelf, answer.question))
                for segment in self._pieces(turn, answer.text):
                    yield segment
            case Offered(answers):
                yield self._menu(turn, answers)
            case None:
                async for segment in self._fetch(turn, asked):
                    yield segment

    async def write_hits(self) -> None:
        """Add to the stored answers how often they were given here."""
        for key, hits in self._book.take_hits().items():
            await self._documents.update(key, partial(_hit, more=hits))

    def _read(self, turn: Turn) -> tuple[Turn, Asked | None]:
        """Read a number after a menu as its question, and say what may be looked up."""
        request = turn.event
        choice = menu.chosen(request.prompt, title=self._rules.menu_title)
        if choice is not None:
            request = structs.replace(request, prompt=choice)
            turn = dataclasses.replace(turn, event=request)
        question = first_question(request.prompt)
        if not question or not self._is_shared(request) or unfit(question):
            _note("unfit")
            return turn, None
        # No menu follows a menu, nor what may have been read already of another answer.
        is_exact = choice is not None or request.conv == WARMING or turn.attempt > 1
        found_as = "exact" if choice is None else "chosen"
        return turn, Asked(self._shelf(request), question, is_exact, found_as)

    def _look_up(self, asked: Asked) -> Given | Offered | None:
        exact = self._book.at(asked.key)
        if exact is not None and exact.text:
            _note(asked.found_as, 1.0)
            return Given(exact)
        if asked.is_exact:
            return None
        found = choose(
            asked.question,
            self._book.nearest(asked.shelf, asked.question),
            self._rules,
            self._book.vocabulary,
        )
        if isinstance(found, Given):
            _note("near", found.score)
        elif found is not None:
            _note("menu", found.score)
        return found

    async def _fetch(self, turn: Turn, asked: Asked) -> AsyncIterator[ReplySegment]:
        """Have a model answer, once for all who ask this at the same time."""
        left = (turn.event.deadline_ms - self._now_ms()) / 1000
        within = min(self._rules.wait, left / 2)
        found = await self._flights.board(asked.key, asked.question, within=within)
        if found is not None and found.text:
            _note("shared")
            self._book.use(asked.key)
            for segment in self._pieces(turn, found.text):
                yield segment
            return
        _note("miss")
        if found is None:
            async for said in self._written(turn):
                yield said.segment
            return
        async with self._flights.leading(asked.key, found) as landing:
            heard: list[Said] = []
            async for said in self._written(turn):
                heard.append(said)
                yield said.segment
            landing.answer = self._kept(asked, heard, turn.event)

    async def _written(self, turn: Turn) -> AsyncIterator[Said]:
        """Have a model answer; where none can, a near answer takes the place of the failure.

        Not after pieces that may have been read: context would take it for their continuation.
        """
        spoke = turn.attempt > 1
        async for said in self._write(turn):
            yield said if spoke else self._or_degraded(said, turn.event)
            spoke = True

    def _pieces(self, turn: Turn, text: str) -> Iterator[ReplySegment]:
        """Yield an answer that no model wrote: as one piece, which costs one message.

        A redelivered turn may have been read in part, so its pieces are cut as a model's are:
        context goes on after as many as it has released (docs/adr/0007).
        """
        texts = [text]
        if turn.attempt > 1:
            cutter = Segmenter(self._segment_bytes)
            texts = [*cutter.feed(text), cutter.finish()]
        for number, one in enumerate(texts):
            yield _piece(turn, one, number, final=number == len(texts) - 1)

    def _kept(self, asked: Asked, heard: list[Said], request: CompletionRequest) -> Answer | None:
        """Return what is to be kept of an answer: all of it, or nothing."""
        text = whole(heard)
        if not text:
            return None
        now_ms = self._now_ms()
        return Answer(
            question=asked.question.strip(),
            text=text,
            created_ms=now_ms,
            expires_ms=now_ms + int(self._rules.ttl * 1000),
            source="warm" if request.conv == WARMING else "model",
        )

    def _or_degraded(self, said: Said, request: CompletionRequest) -> Said:
        """Where no model could answer, give a near answer and say what it answers."""
        question = request.prompt[-1].content
        if not said.segment.failed or not self._is_shared(request) or unfit(question):
            return said
        nearest = self._book.nearest(self._shelf(request), question)
        found = nearly(question, nearest, self._rules.degraded, self._book.vocabulary)
        if found is None:
            return said
        _note("degraded", found.score)
        note = self._rules.degraded_note.replace("{question}", found.answer.question)
        text = "\n\n".join(filter(None, (note, found.answer.text)))
        given = structs.replace(said.segment, text=text, failed=False, model=MODEL)
        return Said(given, cut=True)  # no answer to what was asked: not to be kept

    def _is_shared(self, request: CompletionRequest) -> bool:
        """Whether answers of this persona are the same for everybody, and of words alone."""
        if not self._rules.enabled or any(one.media for one in request.prompt):
            return False
        return persona_of(request.prompt) not in self._private

    def _shelf(self, request: CompletionRequest) -> str:
        return shelf_of(
            account=request.account,
            persona=persona_of(request.prompt),
            route=request.route,
            models=self._routes.get(request.route, ()),
            knowledge=self._version(request.persona),
        )

    def _menu(self, turn: Turn, answers: tuple[Answer, ...]) -> ReplySegment:
        """Ask which of them is meant: to be tapped, or as the words that stand in the history."""
        title, hint = self._rules.menu_title, self._rules.menu_hint
        questions = [one.question for one in answers]
        text = menu.render(questions, title=title, hint=hint)
        items = tuple(MenuItem(str(number), one) for number, one in enumerate(questions, start=1))
        piece = _piece(turn, text, 0, final=True)
        return structs.replace(piece, menu=Menu(head=title, items=items, tail=hint))


def whole(heard: Sequence[Said]) -> str:
    """Return the text of an answer that one run wrote to its end; else nothing."""
    if not heard or heard[-1].cut:
        return ""
    segments = [said.segment for said in heard]
    if (
        segments[-1].failed
        or segments[-1].notice
        or segments[-1].handover
        or segments[-1].notes
        or not segments[-1].final
        or len({one.attempt for one in segments}) > 1
    ):
        return ""
    text = "\n\n".join(segment.text for segment in segments)
    return text if len(text) <= LONGEST else ""


def _is_for_all(last: ReplySegment) -> bool:
    """Whether an answer that ends so is whole, a model's, and but a text."""
    beside = last.handover or last.notes or last.menu or last.cards
    return last.final and not (last.failed or last.notice or beside)


def _piece(turn: Turn, text: str, number: int, *, final: bool) -> ReplySegment:
    """Return a piece that no model wrote."""
    request, attempt = turn.event, first_run(turn.attempt)
    return ReplySegment(
        id=f"rep:{request.turn_id}.{attempt}.{number}",
        account=request.account,
        conv=request.conv,
        turn_id=request.turn_id,
        number=number,
        attempt=attempt,
        text=text,
        final=final,
        model=MODEL,
    )


def _hit(old: Answer | None, *, more: int) -> tuple[Answer | None, None]:
    if old is None or not old.text:
        return None, None
    return structs.replace(old, hits=old.hits + more), None


def _note(result: str, score: float | None = None) -> None:
    metrics.LOOKUPS.labels(result).inc()
    attributes: dict[str, str | float] = {RESULT: result}
    if score is not None:
        attributes[SCORE] = round(score, 3)
    telemetry.note(attributes)
