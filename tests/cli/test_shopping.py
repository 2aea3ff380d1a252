"""Shopping data as events: held against what is known of the real data."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any

import msgspec
import polars as pl
import pytest

from cli import shopping
from cli.shopping import Line
from shared.contracts.events import Checkout, Envelope
from shared.contracts.money import minor_units

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
WEEKS = shopping.weeks_until(NOW)


@pytest.fixture(scope="module")
def lines() -> pl.DataFrame:
    return shopping.read_lines()


@pytest.fixture(scope="module")
def checkouts(lines: pl.DataFrame) -> list[Line]:
    return list(shopping.checkouts(lines, WEEKS, 20_000))


def _event(line: Line) -> dict[str, Any]:
    event: dict[str, Any] = msgspec.json.decode(line.body)
    return event


def test_the_data_holds_the_known_baskets_and_households(lines: pl.DataFrame) -> None:
    assert lines.height == 1_469_307
    assert lines["basket_id"].n_unique() == shopping.BASKETS
    assert lines["household_id"].n_unique() == shopping.HOUSEHOLDS
    assert lines["transaction_timestamp"].max() == shopping.LAST_BASKET.replace(tzinfo=None)


def test_a_basket_is_one_household_at_one_time_without_a_product_twice(
    lines: pl.DataFrame,
) -> None:
    baskets = lines.group_by("basket_id").agg(
        pl.col("household_id", "transaction_timestamp").n_unique(),
        (pl.col("product_id").n_unique() == pl.len()).alias("distinct"),
    )
    assert baskets["household_id"].max() == 1
    assert baskets["transaction_timestamp"].max() == 1
    assert baskets["distinct"].all()


def test_the_first_20_000_baskets_belong_to_2_110_households(checkouts: list[Line]) -> None:
    assert len(checkouts) == 20_000
    assert len({line.customer for line in checkouts}) == 2_110


def test_every_household_opts_in_once_under_an_id_of_its_own(lines: pl.DataFrame) -> None:
    events = [_event(line) for line in shopping.opt_ins(lines)]
    assert len({event["id"] for event in events}) == len(events) == 2_469
    assert events[0] == {
        "id": "opt-in-household-1",
        "customer": "household-1",
        "action": "opt_in",
        "data": {},
    }


def test_a_basket_becomes_a_checkout_that_the_contract_takes(checkouts: list[Line]) -> None:
    assert _event(checkouts[0]) == {
        "id": "basket-31198570044",
        "customer": "household-900",
        "action": "checkout",
        "account": "main",
        "time": (datetime(2017, 1, 1, 11, 53, 26) + timedelta(weeks=WEEKS)).isoformat() + "Z",  # noqa: DTZ001
        "data": {
            "transaction_id": "31198570044",
            "currency": "USD",
            "items": [
                {"product_id": "1095275", "quantity": 1, "price": "0.50", "subtotal": "0.50"}
            ],
        },
    }
    for line in checkouts:
        envelope = msgspec.json.decode(line.body, type=Envelope)
        assert envelope.customer == line.customer
        checkout = msgspec.json.decode(envelope.data, type=Checkout)
        assert checkout.items


def test_cents_and_lines_come_through_whole(lines: pl.DataFrame) -> None:
    cents = quantities = count = zeros = 0
    for line in shopping.checkouts(lines, WEEKS):
        for item in _event(line)["data"]["items"]:
            amount = minor_units(Decimal(item["subtotal"]), "USD")
            cents, count, zeros = cents + amount, count + 1, zeros + (amount == 0)
            quantities += item["quantity"]
    assert (cents, count) == (459_603_958, 1_469_307)
    assert zeros == lines.filter(pl.col("sales_value") < 0.005).height  # some are 1e-14
    assert quantities == lines["quantity"].sum() + 8_869  # lines of quantity 0 count as one


@pytest.mark.parametrize(
    ("value", "cents"), [(3.49, 349), (0.29, 29), (1.005e2, 10050), (0.0, 0), (4.35, 435)]
)
def test_a_value_is_rounded_to_cents_and_not_cut(value: float, cents: int) -> None:
    assert shopping.cents(value) == cents


def test_events_are_in_order_of_time(checkouts: list[Line]) -> None:
    times = [_event(line)["time"] for line in checkouts]
    assert times == sorted(times)


def test_the_same_baskets_are_the_same_events_every_time(lines: pl.DataFrame) -> None:
    first = list(islice(shopping.checkouts(lines, WEEKS), 500))
    assert list(shopping.checkouts(shopping.read_lines(), WEEKS, 500)) == first


@pytest.mark.parametrize("days", range(8))
def test_the_last_basket_lies_in_the_week_before_the_load(days: int) -> None:
    now = NOW + timedelta(days=days)
    moved = shopping.LAST_BASKET + timedelta(weeks=shopping.weeks_until(now))
    assert now - timedelta(weeks=1) < moved <= now


def test_a_moved_basket_keeps_its_day_of_the_week_and_its_hour(checkouts: list[Line]) -> None:
    moved = datetime.fromisoformat(_event(checkouts[0])["time"])
    assert (moved.weekday(), moved.hour) == (datetime(2017, 1, 1).weekday(), 11)  # noqa: DTZ001


@pytest.mark.parametrize("weeks", [0, 1, 460])
def test_the_first_basket_tells_by_how_much_a_load_moved_the_data(
    lines: pl.DataFrame, weeks: int
) -> None:
    event = _event(next(shopping.checkouts(lines, weeks, 1)))
    assert event["id"] == shopping.FIRST_BASKET_ID
    assert shopping.weeks_moved(datetime.fromisoformat(event["time"])) == weeks
