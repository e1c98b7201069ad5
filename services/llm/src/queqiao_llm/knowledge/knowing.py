"""The step before the models that looks answers up, and the one behind that names sources."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence

from msgspec import structs
from queqiao_common import telemetry
from queqiao_common.errors import QueqiaoError
from queqiao_common.events import CompletionRequest
from queqiao_common.settings import Config, Persona

from queqiao_llm.completion import Message, Question
from queqiao_llm.knowledge import metrics, wording
from queqiao_llm.knowledge.asking import Asking, questions_of
from queqiao_llm.knowledge.embedding import Embedder
from queqiao_llm.knowledge.library import Library
from queqiao_llm.knowledge.passages import Limits, Passage, Passages, judged
from queqiao_llm.preparing import Ask, Notice, Prepared
from queqiao_llm.runs import Said, Turn

log = logging.getLogger(__name__)

RESULT = "queqiao.knowledge.result"
SCORE = "queqiao.knowledge.score"
WITHOUT_AGENTS = frozenset({"wecom", "wecom_bot"})
"""The kinds of accounts whose platform has nobody to hand over to (protocol reference 4, 10.3)."""


class Knowing:
    """Looks questions up for the personas that have collections."""

    def __init__(
        self,
        *,
        config: Config,
        library: Library,
        asking: Asking,
        passages: Passages,
        embedder: Embedder | None = None,
    ) -> None:
        self._config = config
        self._rules = config.knowledge
        self._library = library
        self._asking = asking
        self._passages = passages
        self._embedder = embedder
        self._limits = Limits(
            least=self._rules.least,
            least_similar=self._rules.least_similar,
            passages=self._rules.passages,
            max_chars=self._rules.max_chars,
        )

    def version(self, persona: str) -> str:
        """Return what changes whenever the documents of a persona do."""
        return self._library.version(self._persona(persona).knowledge)

    async def prepare(self, request: CompletionRequest, prepared: Prepared) -> Prepared:
        """Give the model passages; where there are none, tell it so, or say so without it.

        A search that fails, or is late, counts as one that found nothing, except that a persona
        which answers by nothing else does not say that there is nothing.
        """
        persona = self._persona(request.persona)
        if not persona.knowledge or request.purpose != "answer" or _has_pictures(request):
            return prepared
        questions = questions_of(request.prompt)
        if not questions:
            _note("small_talk")
            return prepared
        try:
            found = await self._look_up(persona, questions)
        except (QueqiaoError, TimeoutError) as error:
            _note("failed")
            log.warning("knowledge.failed", extra={"error": str(error) or type(error).__name__})
            careful = _told(prepared, wording.caution(self._unknown(request.account)))
            return structs.replace(careful, is_makeshift=True)
        if found:
            _note("passages", found[0].score)
            told = _told(prepared, wording.instructions(found, self._rules.unknown))
            return structs.replace(told, sources=tuple(found))
        _note("nothing")
        unknown = self._unknown(request.account)
        if persona.knowledge_only:
            return structs.replace(prepared, notice=Notice(unknown))
        return _told(prepared, wording.caution(unknown))

    async def search(self, persona: Persona, question: str) -> list[Passage]:
        """Return the passages that answer one question."""
        sought = self._asking.sought(question)
        vector = await self._vector(question)
        found = await self._passages.candidates(persona.knowledge, sought, vector)
        return judged(found, sought, self._asking, self._limits)

    def citing(self, ask: Ask) -> Ask:
        """Return what asks the models, such that answers from passages always name a source."""

        async def cited(turn: Turn, prepared: Prepared) -> AsyncIterator[Said]:
            heard: dict[int, str] = {}
            async for said in ask(turn, prepared):
                cited = self._cited(said, prepared.sources, heard) if prepared.sources else said
                yield structs.replace(cited, cut=cited.cut or prepared.is_makeshift)

        def asked(turn: Turn, prepared: Prepared) -> AsyncIterator[Said]:
            is_plain = not (prepared.sources or prepared.is_makeshift)
            return ask(turn, prepared) if is_plain else cited(turn, prepared)

        return asked

    def _cited(self, said: Said, sources: Sequence[Passage], heard: dict[int, str]) -> Said:
        """Take away invented sources from a piece, and add what the whole answer lacks."""
        segment = said.segment
        if segment.failed or segment.notice:
            return said
        text = wording.verified(segment.text, (one.title for one in sources))
        heard[segment.attempt] = f"{heard.get(segment.attempt, '')}\n{text}"
        if not segment.final:
            return structs.replace(said, segment=structs.replace(segment, text=text))
        whole = heard[segment.attempt]
        is_unknown = wording.admits(whole, self._rules.unknown)
        offer = self._offer(segment.account)
        more = offer if is_unknown else wording.missing_citation(whole, sources)
        text = "\n\n".join(filter(None, (text, more)))
        return Said(structs.replace(segment, text=text), cut=said.cut or is_unknown)

    async def _look_up(self, persona: Persona, questions: Sequence[str]) -> list[Passage]:
        """Search for the question, and where that finds nothing, with the one before it.

        Raises:
            TimeoutError: it took too long.
            QueqiaoError: what is searched does not answer.
        """
        began = time.perf_counter()
        try:
            async with asyncio.timeout(self._rules.timeout):
                await self._library.loaded.wait()
                for question in questions:
                    if found := await self.search(persona, question):
                        return found
                return []
        finally:
            metrics.SECONDS.observe(time.perf_counter() - began)

    async def _vector(self, question: str) -> list[float] | None:
        """Return what a question means; without it, words alone are compared."""
        if self._embedder is None:
            return None
        try:
            return (await self._embedder.embed([question]))[0]
        except QueqiaoError as error:
            log.warning("knowledge.not_embedded", extra={"error": str(error)})
            return None

    def _persona(self, name: str) -> Persona:
        if not self._rules.enabled:
            return Persona()
        return self._config.persona(name)

    def _unknown(self, account_id: str) -> str:
        return "\n\n".join(filter(None, (self._rules.unknown, self._offer(account_id))))

    def _offer(self, account_id: str) -> str:
        """Say how to ask for a person, where one can be asked for."""
        handover, account = self._config.handover, self._config.account(account_id)
        if not handover.enabled or not handover.words:
            return ""
        if account is None or account.kind in WITHOUT_AGENTS:
            return ""
        return self._rules.offer.replace("{word}", handover.words[0])


def _told(prepared: Prepared, content: str) -> Prepared:
    """Return what is asked, with a system message behind those that are there."""
    messages = prepared.question.messages
    at = next((at for at, one in enumerate(messages) if one.role != "system"), len(messages))
    told = (*messages[:at], Message("system", content), *messages[at:])
    question: Question = structs.replace(prepared.question, messages=told)
    return structs.replace(prepared, question=question)


def _has_pictures(request: CompletionRequest) -> bool:
    """Whether the question is about a picture: its words alone say too little to search for."""
    return bool(request.prompt and request.prompt[-1].media)


def _note(result: str, score: float = 0.0) -> None:
    metrics.LOOKUPS.labels(result).inc()
    telemetry.note({RESULT: result} | ({SCORE: score} if score else {}))
