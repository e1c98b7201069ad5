"""WeChat customer service of WeCom: what waits to be pulled, and who may still answer.

Source: protocol reference 10.3, 13 (rule 16). Numbers are WeCom's errcodes; instants are Unix
seconds, given by the caller; no I/O.
"""

import re
import secrets
from collections import deque
from typing import Any

from msgspec import Struct

from queqiao_simulator.keeping import Kept
from queqiao_simulator.refusals import Refused
from queqiao_simulator.rules import KfRules
from queqiao_simulator.tokens import MINUTE, Counter

NEW, ASSISTANT, WAITING, HUMAN, ENDED = range(5)
MOVES = {
    NEW: {ASSISTANT, WAITING, HUMAN, ENDED},
    ASSISTANT: {WAITING, HUMAN, ENDED},
    WAITING: {HUMAN, ENDED},
    HUMAN: {WAITING, HUMAN, ENDED},
    ENDED: set[int](),
}
CUSTOMER, SYSTEM, SERVICER = 3, 4, 5
"""Who an item comes from (`origin`)."""

OVER_48_HOURS, OVER_COUNT = 4, 6
"""Why a send failed later (`fail_type`)."""

BAD_PARAMETER = 40058
LARGEST_PAGE = 1000
ITEMS = 100_000  # of one desk's log
MSGID = re.compile(r"[0-9A-Za-z_-]{1,32}")


class Item(Struct, frozen=True):
    """One line of the log that `sync_msg` reads."""

    number: int
    at: float
    body: dict[str, Any]


class Page(Struct, frozen=True):
    """One answer of `sync_msg`."""

    items: list[dict[str, Any]]
    next_cursor: str
    has_more: bool


class Talk(Struct):
    """The state of one customer's conversation."""

    state: int = NEW
    servicer: str = ""
    left: int = 0
    until: float = float("-inf")


class Code(Struct):
    """What allows one message in answer to an event."""

    customer: str
    until: float


class KfDesk:
    """One customer-service account."""

    def __init__(self, rules: KfRules) -> None:
        self._rules = rules
        self._items: deque[Item] = deque(maxlen=ITEMS)
        self._numbers = 0
        self._tokens: Kept[float] = Kept()
        self._without_token = Counter(rules.without_token_per_minute, MINUTE)
        self._msgids: Kept[bool] = Kept(ITEMS)
        self._codes: Kept[Code] = Kept()
        self.talks: dict[str, Talk] = {}

    def talk(self, customer: str) -> Talk:
        """The conversation with a customer."""
        return self.talks.setdefault(customer, Talk())

    def servicer(self, customer: str) -> str:
        """The person who serves a customer, or nobody."""
        talk = self.talks.get(customer)
        return talk.servicer if talk is not None else ""

    def add(self, body: dict[str, Any], now: float) -> None:
        """Put an item into the log, to be pulled for three days."""
        self._numbers += 1
        self._items.append(Item(self._numbers, now, body))
        while self._items and self._is_old(self._items[0], now):
            self._items.popleft()

    def heard(self, customer: str, now: float) -> None:
        """The customer wrote: a new allowance, and a new conversation where one had ended."""
        talk = self.talk(customer)
        if talk.state == ENDED:
            talk.state, talk.servicer = NEW, ""
        talk.left = self._rules.message_count
        talk.until = now + self._rules.message_window

    def new_token(self, now: float) -> str:
        """The token of one push, which lets its receiver pull."""
        token = "ENC" + secrets.token_urlsafe(40)
        self._tokens.keep(token, now + self._rules.token_lifetime)
        return token

    def sync(self, asked: dict[str, Any], now: float) -> Page:
        """Answer `sync_msg`: what came after the cursor, or all of the last three days.

        Raises:
            Refused: 40058 (cursor or limit), 45009 (too often without a token), 95007.
        """
        self._check_token(asked.get("token") or "", now)
        limit = asked.get("limit", LARGEST_PAGE)
        if not isinstance(limit, int) or not 0 <= limit <= LARGEST_PAGE:
            raise Refused(BAD_PARAMETER, "limit")
        after = _number(asked.get("cursor") or "")
        waiting = [item for item in self._items if item.number > after]
        waiting = [item for item in waiting if not self._is_old(item, now)]
        page = waiting[: limit or LARGEST_PAGE]
        last = page[-1].number if page else after
        return Page([item.body for item in page], _cursor(last), len(page) < len(waiting))

    def sending(self, customer: str, msgid: object, now: float) -> tuple[str, int]:
        """Let a send through; answers its msgid, and the `fail_type` of its later failure or 0.

        Raises:
            Refused: 40058, the errcode of a repeated msgid, 95001, 95002, 95004, 95018.
        """
        talk = self.talks.get(customer)
        if talk is None:
            raise Refused(40003)
        if talk.state not in (NEW, ASSISTANT):
            raise Refused(95013 if talk.state == ENDED else 95018)
        name = self._claimed(msgid)
        failure = OVER_48_HOURS if now >= talk.until else OVER_COUNT if talk.left <= 0 else 0
        if failure and self._rules.refuse_at_once:
            del self._msgids[name]
            raise Refused(95002 if failure == OVER_48_HOURS else 95001)
        talk.left = max(talk.left - 1, 0)
        return name, failure

    def welcome_code(self, customer: str, now: float) -> str:
        """A code that allows one greeting, for 20 seconds."""
        code = "WELCOME" + secrets.token_urlsafe(24)
        self._codes.keep(code, Code(customer, now + self._rules.code_lifetime))
        return code

    def owns(self, code: object) -> bool:
        """Whether the code is one of this desk's."""
        return code in self._codes

    def use_code(self, code: object, msgid: object, now: float) -> tuple[str, str]:
        """Spend a code; answers the customer and the msgid.

        Raises:
            Refused: 40058 or the errcode of a repeated msgid; a spent or old code: 95007.
        """
        known = self._codes.get(code) if isinstance(code, str) else None
        if known is None or now >= known.until:
            raise Refused(95007, "code")
        name = self._claimed(msgid)
        self._codes.pop(str(code))
        return known.customer, name

    def move(self, customer: str, state: object, servicer: str) -> Talk:
        """Change the state of a conversation (`service_state/trans`).

        Raises:
            Refused: 40058, 95013 (it has ended) or 95016.
        """
        talk = self.talk(customer)
        if talk.state == ENDED:
            raise Refused(95013)
        if not isinstance(state, int) or state not in MOVES[talk.state]:
            raise Refused(95016)
        if state == HUMAN and not servicer:
            raise Refused(BAD_PARAMETER, "servicer_userid")
        talk.state, talk.servicer = state, servicer if state == HUMAN else ""
        return talk

    def _claimed(self, msgid: object) -> str:
        if not msgid:
            msgid = secrets.token_hex(16)
        if not isinstance(msgid, str) or MSGID.fullmatch(msgid) is None:
            raise Refused(BAD_PARAMETER, "msgid")
        if msgid in self._msgids:
            raise Refused(self._rules.duplicate_errcode, "msgid has been used")
        self._msgids.keep(msgid, True)
        return msgid

    def _check_token(self, token: str, now: float) -> None:
        if not token:
            if not self._without_token.take(now):
                raise Refused(45009, "sync_msg without a token")
        elif now >= self._tokens.get(token, float("-inf")):
            raise Refused(95007)

    def _is_old(self, item: Item, now: float) -> bool:
        return now - item.at >= self._rules.retention


def _cursor(number: int) -> str:
    return f"4gw{number:x}"


def _number(cursor: str) -> int:
    if not cursor:
        return 0
    try:
        return int(cursor.removeprefix("4gw"), 16)
    except ValueError:
        raise Refused(BAD_PARAMETER, "cursor") from None
