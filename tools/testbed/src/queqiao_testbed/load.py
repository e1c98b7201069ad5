"""Users who ask, at a steady rate, whatever else happens."""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping

import httpx

from queqiao_testbed.audit import Question, User
from queqiao_testbed.ledger import mark
from queqiao_testbed.system import System

PATIENCE = 0.4
"""Seconds between two questions of a user who does not wait for the first answer."""


class Load:
    """Asks questions, and remembers them; `crowd` says how many users each account has.

    What the simulator did not take is no question, but the test bed's trouble.
    """

    def __init__(self, system: System, *, crowd: Mapping[str, int], seed: int) -> None:
        self.questions: list[Question] = []
        self.troubles: list[str] = []
        self._system = system
        self._crowd = dict(crowd)
        self._dice = random.Random(seed)
        self._numbers: Counter[User] = Counter()

    async def run(self, *, messages: int, seconds: float) -> None:
        """Ask `messages` questions in `seconds`."""
        loop = asyncio.get_running_loop()
        began, asked = loop.time(), self._numbers.total()
        async with asyncio.TaskGroup() as talking:
            while (done := self._numbers.total() - asked) < messages:
                await asyncio.sleep(max(0.0, began + seconds * done / messages - loop.time()))
                user = self._somebody()
                await self.ask(user)
                if self._dice.random() < 0.1:
                    talking.create_task(self._go_on(user))

    async def ask(self, user: User) -> None:
        """One user asks one question: mostly a short one, sometimes for a long or slow answer."""
        account, name = user
        one = mark(name, self._numbers[user])
        self._numbers[user] += 1
        wish, paragraphs = self._wish(account)
        text = f"{one} 在吗{wish}"
        try:
            msgid = await self._system.say(account, name, text)
        except httpx.HTTPError as error:
            self.troubles.append(f"{one} could not be asked: {error!r}")
            return
        self.questions.append(Question(user=user, mark=one, msgid=msgid, paragraphs=paragraphs))

    async def everybody(self) -> frozenset[str]:
        """Everyone who has asked something asks once more; returns the marks of these questions."""
        before = len(self.questions)
        for user in tuple(self._numbers):
            await self.ask(user)
        return frozenset(one.mark for one in self.questions[before:])

    async def burst(self, account: str, count: int) -> None:
        """A crowd of newcomers asks, all at once."""
        crowd = self._dice.randrange(10_000)
        await asyncio.gather(*(self.ask((account, f"f{crowd}x{n}")) for n in range(count)))

    async def _go_on(self, user: User) -> None:
        for _ in range(2):
            await asyncio.sleep(PATIENCE * self._dice.random())
            await self.ask(user)

    def _somebody(self) -> User:
        (account,) = self._dice.choices(list(self._crowd), list(self._crowd.values()))
        return account, f"{account}{self._dice.randrange(self._crowd[account])}"

    def _wish(self, account: str) -> tuple[str, int]:
        """Return a directive for the fake model, and how many paragraphs it makes."""
        luck = self._dice.random()
        if account == "sub" or luck < 0.86:
            return ("[delay=2]", 1) if luck < 0.03 else ("", 1)
        if luck < 0.90:
            return "[delay=5]", 1
        if luck < 0.95:
            return "[paragraphs=4;bytes=2800]", 4
        return "[paragraphs=3;bytes=900;tokens_per_second=40]", 3
