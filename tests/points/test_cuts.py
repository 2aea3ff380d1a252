"""However the log is cut into batches and whatever is remembered: the same bytes are stored."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.points.rebuilding.sets import RAW
from shared.contracts.outcomes import instant
from shared.runtime.ports import Message
from tests.points.desk import START, Desk, Submitted

COLLECTIONS = ("decisions", "states", "lots", "closed")
CUSTOMERS = st.sampled_from(["anna", "bela"])
ACCOUNTS = st.sampled_from(["main", "main", "credit"])
POINTS = st.one_of(st.integers(1, 40), st.sampled_from([2_147_483_647, 3_000_000_000]))
SECONDS = st.one_of(st.none(), st.integers(1, 60))


def expiry(seconds: int | None) -> dict[str, object]:
    return {} if seconds is None else {"expires_at": instant(START + timedelta(seconds=seconds))}


STANDINGS = st.builds(
    Submitted,
    CUSTOMERS,
    st.sampled_from(["opt_in", "opt_in", "suspend", "unsuspend", "opt_out"]),
    data=st.just({}),
)
ADDED = st.builds(
    lambda customer, account, points, seconds: Submitted(
        customer, "point_add", {"points": points, **expiry(seconds)}, account=account
    ),
    *(CUSTOMERS, ACCOUNTS, POINTS, SECONDS),
)
TAKEN = st.builds(
    lambda customer, action, account, points: Submitted(
        customer, action, {"points": points}, account=account
    ),
    *(CUSTOMERS, st.sampled_from(["point_spend", "point_sub"]), ACCOUNTS, POINTS),
)
BOUGHT = st.builds(
    lambda customer, id_, total: Submitted(
        customer, "checkout", {"transaction_id": id_, "total": total, "currency": "EUR"}
    ),
    CUSTOMERS,
    st.sampled_from(["T-1", "T-2"]),
    st.sampled_from(["10.00", "99.95"]),
)
HISTORIES = st.lists(st.one_of(ADDED, ADDED, TAKEN, BOUGHT, STANDINGS), min_size=2, max_size=40)
CUTS = st.lists(st.sampled_from(["goes on", "ends", "ends, is forgotten"]), min_size=40)


def stored(desk: Desk) -> dict[str, bytes]:
    database = desk.client[desk.settings.database("points")]
    return {
        name: b"".join(
            document.raw  # type: ignore[attr-defined]  # read as RawBSONDocument
            for document in database.get_collection(name, codec_options=RAW).find().sort("_id", 1)
        )
        for name in COLLECTIONS
    }


def cut(desk: Desk, messages: Sequence[Message], cuts: Sequence[str]) -> None:
    batch: list[Message] = []
    for message, then in zip(messages, cuts, strict=False):
        batch.append(message)
        if then != "goes on":
            desk.batch(batch)
            batch = []
        if then == "ends, is forgotten":
            desk.handler.forget(range(desk.settings.partitions))
    desk.batch(batch)


@pytest.fixture(scope="module")
def opened() -> list[Submitted]:
    """Both begin as members with more lots than one page, and than are kept in memory, can hold."""
    return [Submitted(customer, "opt_in") for customer in ("anna", "bela")] + [
        Submitted("anna", "point_add", {"points": 1}) for _ in range(70)
    ]


@given(history=HISTORIES, cuts=CUTS)
@settings(
    max_examples=25,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_a_log_cut_at_random_leaves_the_same_bytes(
    desk: Desk, opened: list[Submitted], history: list[Submitted], cuts: list[str]
) -> None:
    def anew() -> None:
        desk.clear([*COLLECTIONS, "cursors"])
        desk.start()

    desk.forget_log()
    messages = desk.logged(*opened, *history)
    before, after = messages[: len(opened)], messages[len(opened) :]
    anew()
    desk.batch(messages)
    at_once = stored(desk)
    anew()
    desk.batch(before)
    cut(desk, after, cuts)
    assert stored(desk) == at_once
