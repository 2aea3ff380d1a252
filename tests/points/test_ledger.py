"""The ledger as a whole, over random histories: it agrees with the paper one, its invariants hold,
and it does not matter whether lots are loaded only where a rule needs them.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from services.points.domain import lots as paging
from services.points.domain.customers import UNKNOWN, CustomerPoints
from services.points.domain.decide import decide
from services.points.domain.evolve import fold
from services.points.domain.invariants import broken
from services.points.domain.lots import PAGE_LOTS, Lot, PageChanges, page_changes
from services.points.domain.needs import needs_checkout, needs_lots
from services.points.domain.transactions import FirstCheckout
from shared.contracts.decisions import Decision
from shared.contracts.events import Event
from tests.points.given import (
    NOON,
    account,
    add,
    checkout,
    opt_in,
    opt_out,
    program,
    spend,
    subtract,
    suspend,
    unsuspend,
)
from tests.points.ledger_model import Paper

RULES = program(
    main=account(earn={"percent": 10}),
    credit=account(earn={"percent": 10}, negative_points=True),
)

hours = st.integers(0, 30)
accounts = st.sampled_from(["", "main", "credit"])
points = st.integers(1, 40)
expiries = st.none() | st.integers(-24, 96)
cents = st.integers(0, 40_000)


class Step(NamedTuple):
    """An event in the making: how long after the one before it, and what it is."""

    after: int
    event: Event
    expires_in: int | None = None


def steps() -> st.SearchStrategy[Step]:
    earning = st.builds(
        lambda h, p, a, e, back: Step(h, add(p, account=a, time=NOON - timedelta(days=back)), e),
        hours,
        points,
        accounts,
        expiries,
        st.integers(0, 2),
    )
    taking = st.builds(
        lambda h, make, p, a: Step(h, make(p, account=a)),
        hours,
        st.sampled_from([spend, subtract]),
        points,
        accounts,
    )
    buying = st.builds(
        lambda h, c, a, burned, t, guest: Step(
            h,
            checkout(
                f"{c // 100}.{c % 100:02}",
                account=a,
                points_burned=burned,
                transaction=f"T-{t}",
                guest=guest,
            ),
        ),
        hours,
        st.sampled_from([0, 499, 500, 12_000]) | cents,
        accounts,
        st.none() | st.integers(0, 30),
        st.integers(1, 8),
        st.booleans(),
    )
    standing = st.builds(
        Step,
        hours,
        st.sampled_from([opt_in(), suspend(), unsuspend(), opt_out(), opt_out(banned=True)]),
        st.none(),
    )
    return st.one_of(earning, earning, taking, taking, buying, buying, standing)


class Ledger(RuleBasedStateMachine):
    """One customer in three forms: `whole` (every lot always known), `thin` (as in production: lots
    and first checkouts are stored away after each batch and loaded where needed), and on paper.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = NOON
        self.number = 0
        self.whole = self.thin = UNKNOWN
        self.paper = Paper(frozenset({"credit"}))
        self.pages: dict[tuple[str, int], tuple[Lot, ...]] = {}
        self.page_lots, paging.PAGE_LOTS = paging.PAGE_LOTS, 3  # so that some are full

        self.first: dict[tuple[int, str], FirstCheckout] = {}

    def teardown(self) -> None:
        paging.PAGE_LOTS = self.page_lots

    @initialize(joins=st.booleans())
    def begin(self, joins: bool) -> None:
        if joins:
            self._batch([Step(0, opt_in())], lots_kept_max=0)

    @rule(batch=st.lists(steps(), min_size=1, max_size=5), kept=st.sampled_from([0, 2, 100]))
    def batch(self, batch: list[Step], kept: int) -> None:
        self._batch(batch, lots_kept_max=kept)

    @invariant()
    def balances_agree_with_the_paper(self) -> None:
        told = {"unknown": None}.get(self.paper.standing, self.paper.standing)
        assert self.whole.standing == self.thin.standing == told
        for id_ in ("main", "credit"):
            whole, thin = self.whole.account(id_), self.thin.account(id_)
            paper = self.paper.accounts.get(id_)
            written = (paper.score, paper.spent, paper.expired) if paper else (0, 0, 0)
            assert (whole.score, whole.spent, whole.expired) == written
            assert (thin.score, thin.spent, thin.expired, thin.due, thin.made) == (
                (whole.score, whole.spent, whole.expired, whole.due, whole.made)
            )
            lots = [(lot.event, lot.left) for lot in whole.lots.known()]
            assert lots == [(lot.event, lot.left) for lot in paper.lots] if paper else not lots

    @invariant()
    def what_is_stored_is_what_is_open(self) -> None:
        for id_ in ("main", "credit"):
            stored = [
                lot for (of, _), page in sorted(self.pages.items()) if of == id_ for lot in page
            ]
            account = self.thin.account(id_)
            stored += account.lots.pages.get(paging.full(account.made), ())
            assert stored == list(self.whole.account(id_).lots.known())

    @invariant()
    def invariants_hold(self) -> None:
        for state in (self.whole, self.thin):
            assert [said for held in state.accounts.values() if (said := broken(held))] == []

    def _batch(self, batch: Sequence[Step], *, lots_kept_max: int) -> None:
        events = [self._stamped(step) for step in batch]
        self.thin = before = self._loaded(events)
        for event in events:
            thin = decide(event, self.thin, RULES)
            whole = decide(event, self.whole, RULES)
            assert thin == whole
            written = self.paper.write(event)
            assert written == (whole.code or whole.outcome)
            self.thin = self._after(self.thin, thin, event)
            self.whole = self._after(self.whole, whole, event)
            self.invariants_hold()
        self._store(before)
        self.thin = self.thin.stored(lots_kept_max=lots_kept_max)

    def _stamped(self, step: Step) -> Event:
        self.number += 1
        self.now += timedelta(hours=step.after)
        event = step.event
        backdated = self.now - (NOON - event.time)
        data = event.data
        if step.expires_in is not None:
            data = add(1, expires_at=self.now + timedelta(hours=step.expires_in)).data
            data.points = event.data.points  # type: ignore[union-attr]  # both are additions
        return Event(
            id=f"e-{self.number}",
            tenant="demo",
            customer="c-1",
            action=event.action,
            account=event.account,
            time=backdated,
            recorded_at=self.now,
            program=1,
            partition=0,
            seq=self.number,
            data=data,
            digest=event.digest,
        )

    def _loaded(self, events: Iterable[Event]) -> CustomerPoints:
        """As before a batch: what its events need of the state as it is now, and no more."""
        state = self.thin
        for event in events:
            for id_ in needs_lots(event, self.thin, RULES):
                pages = {n: page for (of, n), page in self.pages.items() if of == id_}
                state = state.with_lots(id_, pages)
            known = self.first.get((self.thin.generation, needs_checkout(event) or ""))
            if known:
                state = state.with_checkouts({needs_checkout(event) or "": known})
        return state

    def _after(self, state: CustomerPoints, decision: Decision, event: Event) -> CustomerPoints:
        state = fold(state, decision, event)
        if event.action == "checkout" and decision.outcome == "accepted" and not decision.answer:
            first = FirstCheckout(event.digest, {"event": event.id})
            self.first[state.generation, needs_checkout(event) or ""] = first
            state = state.with_checkouts({needs_checkout(event) or "": first})
        return state

    def _store(self, before: CustomerPoints) -> None:
        """What the repository does with pages; all of them go with a generation."""
        if before.generation != self.thin.generation:
            self.pages, before = {}, UNKNOWN
        for id_, held in self.thin.accounts.items():
            was = before.account(id_)
            changes = page_changes(was.lots, was.made, held.lots, held.made)
            for n, page in changes.put.items():
                self.pages[id_, n] = page
            for n in changes.removed:
                del self.pages[id_, n]


TestLedger = Ledger.TestCase
TestLedger.settings = hypothesis_settings(max_examples=60, stateful_step_count=25, deadline=None)


def earned_at_once(count: int, at: datetime = NOON) -> CustomerPoints:
    state = UNKNOWN
    for past in [opt_in(), *(add(1, id=f"e-{n}", at=at) for n in range(count))]:
        state = fold(state, decide(past, state, RULES), past)
    return state


def test_lots_fill_pages_in_the_order_in_which_they_were_made() -> None:
    pages = earned_at_once(2 * PAGE_LOTS + 2).account("main").lots.pages
    assert {n: len(page) for n, page in pages.items()} == {0: PAGE_LOTS, 1: PAGE_LOTS, 2: 2}


def changes_of(before: CustomerPoints, after: CustomerPoints) -> PageChanges:
    was, now = before.account("main"), after.account("main")
    return page_changes(was.lots, was.made, now.lots, now.made)


def test_a_lot_stays_in_its_page_and_a_page_that_is_used_up_goes() -> None:
    state = earned_at_once(2 * PAGE_LOTS + 2)
    when = spend(PAGE_LOTS + 1)
    after = fold(state, decide(when, state, RULES), when)
    changes = changes_of(state, after)
    assert (list(changes.put), changes.removed) == ([1], (0,))
    assert len(after.account("main").lots.closed) == PAGE_LOTS + 1


def test_earning_never_needs_the_full_pages_and_writes_one_when_it_is_full() -> None:
    state = earned_at_once(2 * PAGE_LOTS - 2).stored(lots_kept_max=0)
    assert state.account("main").lots.hidden is not None
    written = []
    for when in (add(5, id="e-1"), add(5, id="e-2"), add(5, id="e-3")):
        assert needs_lots(when, state, RULES) == ()
        after = fold(state, decide(when, state, RULES), when)
        written.append({n: len(page) for n, page in changes_of(state, after).put.items()})
        state = after.stored(lots_kept_max=0)
    assert written == [{}, {1: PAGE_LOTS}, {}]


def test_spending_and_what_is_due_need_the_stored_lots_of_their_account() -> None:
    given = [opt_in(), add(5, expires_at=NOON + timedelta(days=1))]
    state = UNKNOWN
    for past in given:
        state = fold(state, decide(past, state, RULES), past)
    assert needs_lots(spend(1), state, RULES) == ()
    for past in (add(1, id=f"more-{n}") for n in range(PAGE_LOTS)):
        state = fold(state, decide(past, state, RULES), past)
    state = state.stored(lots_kept_max=0)
    late = NOON + timedelta(days=2)
    assert needs_lots(spend(1), state, RULES) == ("main",)
    assert needs_lots(subtract(1), state, RULES) == ("main",)
    assert needs_lots(checkout("1.00", points_burned=1), state, RULES) == ("main",)
    assert needs_lots(checkout("1.00"), state, RULES) == ()
    assert needs_lots(checkout("1.00", at=late), state, RULES) == ("main",)
    assert needs_lots(add(1, at=late, account="credit"), state, RULES) == ()
    assert needs_lots(add(1, at=late), state, program({"modules": []})) == ()
