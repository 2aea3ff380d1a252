"""Labels and expiry runs, as tables (EXP-01 to EXP-06, Part 5)."""

from datetime import UTC, datetime

import pytest

from services.query.lots import Label, Lot, label, lapsing, next_run
from shared.contracts.program import Settings

RUN = datetime(2026, 3, 11, 2, tzinfo=UTC)
BEFORE = datetime(2026, 3, 11, 1, 59, 59, tzinfo=UTC)
BERLIN = "Europe/Berlin"
AFTER = datetime(2026, 3, 11, 2, 0, 1, tzinfo=UTC)


def lot(
    points: int = 10,
    *,
    used: int = 0,
    held: int = 0,
    expired: int = 0,
    expires_at: datetime | None = None,
) -> Lot:
    return Lot(points, used, held, expired, expires_at)


@pytest.mark.parametrize(
    ("lots", "expected"),
    [
        pytest.param([], None, id="nothing earned: no label"),
        pytest.param([lot()], None, id="no date and points left: no label (EXP-05)"),
        pytest.param(
            [lot(used=9, expires_at=AFTER)], None, id="lapses after the next run: no label"
        ),
        pytest.param([lot(used=10)], "EXHAUSTED", id="all used, also without a date"),
        pytest.param(
            [lot(used=10, expires_at=BEFORE)], "EXHAUSTED", id="all used before it could lapse"
        ),
        pytest.param(
            [lot(used=9, expired=1, expires_at=BEFORE)], "EXPIRED", id="the rest has lapsed"
        ),
        pytest.param([lot(expires_at=BEFORE)], "EXPIRING", id="lapses by the next run"),
        pytest.param([lot(expires_at=RUN)], "EXPIRING", id="lapses at the very instant of the run"),
        pytest.param([lot(held=10, expires_at=BEFORE)], None, id="held points do not lapse"),
        pytest.param([lot(held=4, expires_at=BEFORE)], "EXPIRING", id="what is not held lapses"),
        pytest.param([lot(used=10), lot()], None, id="one of two lots used up: no label"),
        pytest.param(
            [lot(used=10), lot(expires_at=BEFORE)], "EXPIRING", id="one used up, one lapsing"
        ),
        pytest.param([lot(used=10), lot(expired=10)], "EXPIRED", id="one used up, one lapsed"),
    ],
)
def test_label(lots: list[Lot], expected: Label | None) -> None:
    assert label(lots, RUN) == expected


def test_without_the_module_nothing_has_a_label() -> None:
    assert label([lot(used=10), lot(expired=10), lot(expires_at=BEFORE)], None) is None


def test_lapsing_counts_what_is_neither_used_nor_held() -> None:
    lots = [
        lot(used=1, held=2, expires_at=BEFORE),
        lot(expires_at=RUN),
        lot(expires_at=AFTER),
        lot(),
    ]
    assert lapsing(lots, RUN) == 7 + 10


@pytest.mark.parametrize(
    ("now", "zone", "expected"),
    [
        pytest.param("2026-03-10T12:00Z", "UTC", "2026-03-11T02:00Z", id="tomorrow morning"),
        pytest.param("2026-03-10T01:00Z", "UTC", "2026-03-10T02:00Z", id="this morning"),
        pytest.param("2026-03-10T02:00Z", "UTC", "2026-03-11T02:00Z", id="at the run: the next"),
        pytest.param("2026-03-10T23:30Z", "Asia/Tokyo", "2026-03-11T17:00Z", id="east of UTC"),
        pytest.param("2026-03-10T12:00Z", "America/Lima", "2026-03-11T07:00Z", id="west of UTC"),
        pytest.param("2026-03-28T12:00Z", BERLIN, "2026-03-29T01:00Z", id="no 02:00 in spring"),
        pytest.param("2026-10-24T12:00Z", BERLIN, "2026-10-25T00:00Z", id="first 02:00 of autumn"),
        pytest.param("2026-10-25T00:30Z", BERLIN, "2026-10-26T01:00Z", id="not the second"),
    ],
)  # fmt: skip
def test_next_run(now: str, zone: str, expected: str) -> None:
    run = next_run(datetime.fromisoformat(now), Settings(time_zone=zone))
    assert run == datetime.fromisoformat(expected)


def test_without_the_module_there_is_no_run() -> None:
    assert next_run(BEFORE, Settings(modules=["tiers", "coupons"])) is None
