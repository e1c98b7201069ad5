"""The planner, by itself and through whole answers."""

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from queqiao_common.events import Waiting
from queqiao_common.settings import Delivery as Settings
from queqiao_common.testing import NOW_MS, delivery
from queqiao_egress import mailbox, quota
from queqiao_egress.channels.official import quota_of
from queqiao_egress.channels.port import Traits
from queqiao_egress.dressing import items_of, rules_of
from queqiao_egress.pages import Item, without
from queqiao_egress.plan import Situation, Window, plan
from queqiao_wechat.text import size

SETTINGS = Settings(max_bytes=240)
TRAITS = Traits(call="", marks_ai=True)
RULES = rules_of(SETTINGS, TRAITS)
WINDOW = Window(msgid="m_1", until_ms=NOW_MS + 3100)


def item(text="一段话。", **fields):
    return Item(**({"id": "t.1", "text": text} | fields))


def situation(*items, **fields):
    defaults = {"mode": "auto", "items": items, "final": True, "now_ms": NOW_MS}
    return Situation(**(defaults | {"left": 5, "allowed": 5} | fields))


def test_an_open_window_is_used_first_and_spends_nothing():
    chosen = plan(situation(item(), window=WINDOW), RULES)

    assert chosen.offer.now
    assert chosen.messages == ()
    assert chosen.reasons == ("window open for 3.1 s: passive reply",)


def test_an_active_account_leaves_no_request_waiting_so_none_is_used():
    chosen = plan(situation(item(), window=WINDOW, mode="active"), RULES)

    assert chosen.offer is None
    assert len(chosen.messages) == 1
    assert chosen.reasons == ("5 of 5 messages left: 1 message by API",)


def test_a_text_that_needs_too_many_messages_is_packed_tighter():
    paragraphs = "\n\n".join("桥" * 44 + "。" for _ in range(5))
    loose = plan(situation(item(paragraphs)), RULES)
    tight = plan(situation(item(paragraphs), left=4), RULES)

    assert len(loose.messages) == 5
    assert len(tight.messages) <= 4
    assert tight.reasons[0].startswith("4 of 5 messages left: merged 5 parts into")


def test_what_cannot_fit_is_cut_and_said_to_be():
    chosen = plan(situation(item("桥" * 1000), left=2), RULES)

    assert len(chosen.messages) == 2
    assert chosen.messages[-1].text.endswith(SETTINGS.cut)
    assert chosen.kept == ()
    assert chosen.messages[-1].carried == ("t.1",)


def test_a_cut_ends_one_answer_and_never_swallows_the_next():
    late, fresh = item("桥" * 300, id="c.1.1"), item("新的回答。", id="c.2.1")

    chosen = plan(situation(late, fresh, left=2), RULES)

    assert len(chosen.messages) == 2
    assert chosen.messages[-1].text.endswith(SETTINGS.more)
    assert [one.id for one in chosen.kept] == ["c.1.1", "c.2.1"]
    assert chosen.reasons == ("2 of 5 messages left, 4 needed: the rest is kept",)


def test_a_link_to_an_answer_s_page_stands_for_that_answer_alone():
    late, fresh = item("桥" * 300, id="c.1.1"), item("新的回答。", id="c.2.1")
    passively = {"mode": "passive", "window": WINDOW}

    by_api = plan(situation(late, fresh, left=2, link="全文：https://x"), RULES)
    replied = plan(situation(late, fresh, link="全文：https://x", **passively), RULES)

    assert [one.id for one in by_api.kept] == ["c.1.1", "c.2.1"]
    assert [one.id for one in replied.offer.page.rest] == ["c.1.1", "c.2.1"]
    assert replied.offer.page.text.endswith(SETTINGS.more)


def test_the_last_message_is_kept_for_the_final_piece():
    chosen = plan(situation(item(), final=False, left=1), RULES)

    assert (chosen.messages, chosen.kept) == ((), (item(),))


def test_when_messages_run_low_only_full_ones_leave_before_the_end():
    little = plan(situation(item(), final=False, left=3), RULES)
    much = plan(situation(item("桥" * 100), final=False, left=3), RULES)

    assert (little.messages, little.kept) == ((), (item(),))
    assert len(much.messages) == 1
    assert size(much.messages[0].text) > 200
    assert much.kept == much.messages[0].rest


def test_without_a_message_left_everything_waits():
    chosen = plan(situation(item(), left=0, allowed=0), RULES)

    assert (chosen.messages, chosen.kept) == ((), (item(),))


def test_a_passive_account_is_offered_an_unfinished_answer_for_the_end_of_its_window():
    chosen = plan(situation(item(), mode="passive", final=False, window=WINDOW), RULES)

    assert not chosen.offer.now
    assert chosen.offer.page.text == f"一段话。\n{SETTINGS.more}"


def test_nothing_to_say_is_a_plan_too():
    assert plan(situation(), RULES).reasons == ("nothing to say",)


# -- whole answers ------------------------------------------------------------------------------


class Reader:
    """A user, and the pure parts of egress put together without any I/O."""

    def __init__(self, mode, config, trigger, taken):
        self.mode = mode
        self.config = config
        self.rules = rules_of(config, TRAITS)
        self.asked = Waiting(msgid="m_1", received_ms=NOW_MS, trigger=trigger)
        self.window_ms = {"auto": 4500, "passive": 15_000, "active": 0}[mode]
        self.taken = taken
        self.claimed = False
        self.box = mailbox.EMPTY
        self.ledger = None
        self.read = []
        self.by_api = 0
        self.free = 0

    def deliver(self, sent, now_ms):
        own = items_of(sent, markdown=False, picture="［图片］")
        given = []
        until_ms = NOW_MS + self.window_ms
        if now_ms < until_ms and not self.claimed:
            window = Window(msgid="m_1", until_ms=until_ms)
            chosen = self._plan(sent, own, given, now_ms, window=window)
            assert chosen.messages == ()  # a free reply before any that is paid for
            if chosen.offer is not None and chosen.offer.now:
                self.claimed = True
                if self.taken:
                    self.free += 1
                    self._show(chosen.offer.page, given)
        if self.mode != "passive":
            self._send(sent, own, given, now_ms)
        self.box = mailbox.remove(self.box, given)
        self.box = mailbox.put(self.box, sent.id, without(own, given), cut=self.config.cut)

    def _plan(self, sent, own, given, now_ms, **fields):
        return plan(
            Situation(
                mode=self.mode,
                items=without((*self.box.items, *own), given),
                final=sent.final,
                now_ms=now_ms,
                **fields,
            ),
            self.rules,
        )

    def _send(self, sent, own, given, now_ms):
        known = quota.observe(self.ledger, (self.asked,), quota_of(self.config), now_ms=now_ms)
        left = quota.left(known, delivery_id=sent.id, used=0, now_ms=now_ms)
        allowed = quota.allowed(known, now_ms=now_ms)
        chosen = self._plan(sent, own, given, now_ms, left=left, allowed=allowed)
        count = len(chosen.messages)
        assert count <= left
        self.ledger = quota.take(known, delivery_id=sent.id, count=count, now_ms=now_ms)
        for one in chosen.messages:
            self.by_api += 1
            self._show(one, given)

    def _show(self, one, given):
        assert size(one.text) <= self.config.max_bytes
        one.text.encode()  # no half of a character
        self.read.append(one.text)
        given += one.carried


def letters(text, *unsaid):
    for phrase in unsaid:
        text = text.replace(phrase, "")
    return "".join(text.split())


PIECE = st.one_of(
    st.text(alphabet="桥a。，😀é \n", min_size=1, max_size=400),
    st.sampled_from(
        ["**重点**：看这里。", "- 一\n- 二\n", "# 标题\n正文", "`x = 1`", "|a|b|\n|-|-|\n|1|2|"]
    ),
)


@settings(max_examples=200)
@given(
    mode=st.sampled_from(["auto", "active", "passive"]),
    pieces=st.lists(st.tuples(PIECE, st.integers(0, 6000), st.booleans()), min_size=1, max_size=9),
    trigger=st.sampled_from(["message", "menu", "enter"]),
    limits=st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(210, 500)),
    label_by_api=st.booleans(),
    taken=st.booleans(),
)
def test_a_user_reads_the_answer_in_order_or_is_told_what_is_missing(
    mode, pieces, trigger, limits, label_by_api, taken
):
    """Whatever the latencies, lengths and quotas: nothing twice, nothing swapped, nothing lost.

    A piece may end its answer: what follows is another's, and no cut may take that away.
    """
    quota_size, event_quota, max_bytes = limits
    config = structs.replace(
        SETTINGS,
        quota=quota_size,
        event_quota=event_quota,
        max_bytes=max_bytes,
        label_by_api=label_by_api,
    )
    reader = Reader(mode, config, trigger, taken)
    now_ms = NOW_MS
    answers = [""]
    for number, (text, latency, ends) in enumerate(pieces, 1):
        now_ms += latency
        is_last = ends or number == len(pieces)
        sent = delivery(text, id=f"t.{len(answers)}.{number}", ai=True, final=is_last)
        own = items_of(sent, markdown=False, picture="［图片］")
        answers[-1] += letters("".join(one.text for one in own))
        answers += [""] if is_last else []
        reader.deliver(sent, now_ms)

    unsaid = (config.label, config.more, config.cut)
    read = letters("".join(reader.read), *unsaid)
    waits = letters("".join(one.text for one in reader.box.items))
    allowed = {"message": quota_size, "menu": event_quota, "enter": min(2, event_quota)}[trigger]
    assert reader.by_api <= allowed
    assert reader.free <= 1
    wholes = ["".join(answers[:n]) for n in range(len(answers))]
    if reader.read and reader.read[-1].endswith(config.cut):
        rest = {one: "".join(answers)[len(one) :] for one in wholes}
        assert any(one.startswith(read) and rest[one] == waits for one in wholes)
    else:
        assert read + waits == "".join(answers)
    if waits and mode != "passive":  # only where nothing may be said is nothing said
        open_until = 60_000 if trigger != "message" else 172_800_000
        assert now_ms - NOW_MS >= open_until or reader.by_api == allowed
