"""What an account and the settings may say (API.md, Program)."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from shared.contracts.program import Account, Settings
from shared.runtime.http import errors_of

NUMBER = "must be a number, such as 12.5 or '12.50'"


def wrong(model: type[Account] | type[Settings], document: Any) -> list[tuple[str, str]]:
    try:
        model.model_validate(document)
    except ValidationError as error:
        listed: Any = errors_of(error).members["errors"]
        return [(found["pointer"], found["detail"]) for found in listed]
    return []


def rate(**fields: Any) -> dict[str, Any]:
    return {"burn": {"rates": [{"points": 5, "amount": "1.00", "currency": "EUR", **fields}]}}


@pytest.mark.parametrize(
    ("fields", "pointer", "detail"),
    [
        pytest.param({"name": ""}, "/name", "must have at least 1 character", id="no name"),
        pytest.param({"name": " "}, "/name", "must not be blank", id="a blank name"),
        pytest.param({"name": "a\x00"}, "/name", "must not hold control characters", id="NUL"),
        pytest.param({"name": {"$gt": ""}}, "/name", "must be a string", id="an operator"),
        pytest.param({"name": 5}, "/name", "must be a string", id="a number for a text"),
        pytest.param({"family": 1}, "/family", "must be true or false", id="1 for true"),
        pytest.param({"family": "true"}, "/family", "must be true or false", id="a text for true"),
        pytest.param({"colour": 1}, "/colour", "is no known member", id="an unknown member"),
        pytest.param({"earn": {"x/y": 1}}, "/earn/x~1y", "is no known member", id="one inside"),
        pytest.param({"earn": []}, "/earn", "must be an object", id="a list for an object"),
        pytest.param({"type": "gold"}, "/type", "must be 'standard' or 'status_points'", id="type"),
        pytest.param({"earn": {"percent": True}}, "/earn/percent", NUMBER, id="true"),
        pytest.param({"earn": {"percent": "1e1"}}, "/earn/percent", NUMBER, id="an exponent"),
        pytest.param({"earn": {"percent": 0}}, "/earn/percent", "must be greater than 0", id="0 %"),
        pytest.param(
            {"earn": {"percent": Decimal("0.001")}},
            "/earn/percent",
            "must have no more than 2 decimal places",
            id="a tenth of a basis point",
        ),
        pytest.param(
            {"earn": {"per_currency": {"EURO": 5}}},
            "/earn/per_currency/EURO",
            "is no ISO 4217 currency",
            id="an unknown currency",
        ),
        pytest.param(
            rate(points=True), "/burn/rates/0/points", "must be an integer", id="true points"
        ),
        pytest.param(
            rate(points=2**53), "/burn/rates/0/points", f"must be less than {2**53}", id="2^53"
        ),
        pytest.param(
            rate(amount="1.001"),
            "/burn/rates/0/amount",
            "has more than the 2 digits after the point that EUR has",
            id="a tenth of a cent",
        ),
        pytest.param(rate(amount=0), "/burn/rates/0/amount", "must be more than 0", id="nothing"),
        pytest.param(rate(amount=-1), "/burn/rates/0/amount", "must not be negative", id="less"),
        pytest.param(rate(amount=None), "/burn/rates/0/amount", NUMBER, id="null"),
        pytest.param(
            {"burn": {"rates": rate()["burn"]["rates"] * 2}},
            "/burn/rates",
            "must not hold two rates for the same points and currency",
            id="two meanings",
        ),
        pytest.param(
            {"pending": {"mode": "automatic", "days": 14, "on_expiry": "accept"}},
            "/pending/mode",
            "automatic is not built yet",
            id="pending points",
        ),
        pytest.param(
            {"expiration": {"logic": "rolling", "months": 12}},
            "/expiration/logic",
            "rolling is not built yet",
            id="rolling expiration",
        ),
        pytest.param(
            {"expiration": {"logic": "activity", "days": 90, "actions": ["checkout"]}},
            "/expiration/logic",
            "activity is not built yet",
            id="expiration by activity",
        ),
        pytest.param(
            {"expiration": {"logic": "calendar", "day": "12-31"}},
            "/expiration/logic",
            "calendar is not built yet",
            id="expiration by calendar",
        ),
        pytest.param(
            {"expiration": {"logic": "anniversary", "of": "birth_date"}},
            "/expiration/logic",
            "anniversary is not built yet",
            id="expiration by anniversary",
        ),
    ],
)
def test_what_an_account_may_not_say(fields: dict[str, Any], pointer: str, detail: str) -> None:
    document = {"name": "Points", "currency_label": "pts", **fields}
    assert wrong(Account, document) == [(pointer, detail)]


@pytest.mark.parametrize("name", ["default", "Default", " DEFAULT "])
def test_no_account_is_called_default(name: str) -> None:
    assert [pointer for pointer, _ in wrong(Account, {"name": name, "currency_label": "p"})] == [
        "/name"
    ]


def test_name_and_currency_label_are_required() -> None:
    required = [("/name", "is required"), ("/currency_label", "is required")]
    assert wrong(Account, {}) == required


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        pytest.param({"time_zone": "Mars/Olympus"}, "/time_zone", id="no zone"),
        pytest.param({"time_zone": "../../etc/passwd"}, "/time_zone", id="a path"),
        pytest.param({"time_zone": "localtime"}, "/time_zone", id="the machine's own"),
        pytest.param({"currency": "eur"}, "/currency", id="lower case"),
        pytest.param({"modules": ["gold"]}, "/modules/0", id="an unknown module"),
        pytest.param({"modules": "tiers"}, "/modules", id="a text for a list"),
        pytest.param({"log_days": 0}, "/log_days", id="no days"),
        pytest.param({"log_days": Decimal("5.5")}, "/log_days", id="half a day"),
        pytest.param({"expiration_run": "24:00"}, "/expiration_run", id="no time of day"),
        pytest.param({"expiration_run": "02:00\n"}, "/expiration_run", id="a line break"),
        pytest.param({"default_account": None}, "/default_account", id="null"),
        pytest.param({"default_account": {"$ne": ""}}, "/default_account", id="an operator"),
        pytest.param({"force_account_matching": ["x"]}, "/force_account_matching/0", id="entity"),
        pytest.param({"checkout_accept": {"mode": "manual"}}, "/checkout_accept/mode", id="mode"),
    ],
)
def test_what_settings_may_not_say(fields: dict[str, Any], pointer: str) -> None:
    assert [found for found, _ in wrong(Settings, fields)] == [pointer]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        pytest.param(10, "10", id="a whole number"),
        pytest.param(Decimal("12.50"), "12.5", id="digits that say nothing"),
        pytest.param("10.00", "10", id="a text"),
        pytest.param(Decimal("1e1"), "10", id="an exponent"),
        pytest.param(Decimal("0.01"), "0.01", id="the smallest"),
    ],
)
def test_equal_percentages_are_kept_alike(sent: object, kept: str) -> None:
    document = {"name": "P", "currency_label": "p", "earn": {"percent": sent}}
    assert Account.model_validate(document).model_dump(mode="json")["earn"]["percent"] == kept


def test_amounts_are_kept_with_the_digits_of_their_currency() -> None:
    sent = [("EUR", 1), ("JPY", Decimal(100)), ("KWD", "0.5")]
    rates = [{"points": 1, "amount": amount, "currency": code} for code, amount in sent]
    document = {"name": "P", "currency_label": "p", "burn": {"rates": rates}}
    kept = [found.amount for found in Account.model_validate(document).burn.rates]
    assert kept == ["1.00", "100", "0.500"]
