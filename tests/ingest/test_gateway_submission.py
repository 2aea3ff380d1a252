"""Submitted events as pure data: what is written, what is refused, what is the same content."""

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from services.ingest.domain import strict
from services.ingest.domain.amounts import utc
from services.ingest.domain.bounds import OutOfBounds
from services.ingest.domain.content import ContentKey
from services.ingest.domain.refusal import Refusal
from services.ingest.domain.submission import CURRENCY_MISSING, Answer, Door, Ready, submit
from shared.contracts.events import Checkout, Envelope, Logged
from shared.contracts.identity import content_hash, tenant_secret
from shared.contracts.outcomes import instant

SECRET = "a-fixed-secret-of-the-tests-0001"
DOOR = Door(ContentKey(SECRET, "demo").hash, lambda: "made-by-the-gateway")


def sent(body: str | bytes, key: str | None = None, currency: str = "") -> Answer:
    """A body through the door, as the gateway does it."""
    raw = body.encode() if isinstance(body, str) else body
    return submit(strict.decode(raw), DOOR, key=key, currency=currency)


def taken(event: object, **more: Any) -> Ready:
    answer = sent(msgspec.json.encode(event), **more)
    assert isinstance(answer, Ready), answer
    return answer


def refused(event: object, **more: Any) -> Refusal:
    answer = sent(msgspec.json.encode(event), **more)
    assert isinstance(answer, Refusal), answer
    return answer


def points(**members: Any) -> dict[str, Any]:
    return {"id": "e-1", "customer": "c-1", "action": "point_add", "data": {"points": 5}, **members}


def checkout(data: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    known = {"transaction_id": "T-1", "total": "120.00", "currency": "EUR"}
    event = {
        "id": "e-1",
        "customer": "c-1",
        "action": "checkout",
        "data": {**known, **(data or {})},
    }
    return {**event, **members}


def pointers(refusal: Refusal) -> list[str]:
    return ["".join(f"/{step}" for step in fault.path) for fault in refusal.faults]


# What is written down


def test_the_value_is_what_the_journal_reads() -> None:
    ready = taken(checkout(time="2026-03-01T10:30:00.5+01:00", account="main"))
    logged = msgspec.json.decode(ready.value, type=Logged)
    assert (logged.id, logged.customer, logged.action, logged.account) == (
        "e-1",
        "c-1",
        "checkout",
        "main",
    )
    assert logged.time == datetime(2026, 3, 1, 9, 30, 0, 500_000, UTC)
    assert msgspec.json.decode(logged.data, type=Checkout).total == Decimal("120.00")
    assert ready.time == "2026-03-01T09:30:00.500Z"


def test_an_event_without_an_id_gets_one() -> None:
    assert taken(points(id=None)).id == "made-by-the-gateway"


def test_the_idempotency_key_is_the_id_where_the_body_has_none() -> None:
    assert taken(points(id=None), key="k-1").id == "k-1"
    assert taken(points(id="k-1"), key="k-1").id == "k-1"


def test_an_idempotency_key_that_differs_from_the_id_is_refused() -> None:
    assert pointers(refused(points(), key="k-1")) == ["/id"]


@pytest.mark.parametrize("key", ["", "x" * 129, "a\tb"], ids=["empty", "too long", "a tab"])
def test_an_idempotency_key_must_be_an_id(key: str) -> None:
    assert pointers(refused(points(id=None), key=key)) == ["/id"]


@pytest.mark.parametrize("key", [None, "~k"])
def test_ids_of_services_are_reserved(key: str | None) -> None:
    assert refused(points(id=None if key else "~e"), key=key).code == "id_reserved"


@pytest.mark.parametrize(
    ("amount", "currency", "written"),
    [
        pytest.param('"12.5"', "EUR", "12.50", id="a text with too few digits"),
        pytest.param("12.5", "EUR", "12.50", id="a number"),
        pytest.param("12.500", "EUR", "12.50", id="a number's zeros say nothing"),
        pytest.param("12", "EUR", "12.00", id="an integer"),
        pytest.param("1.2e1", "EUR", "12.00", id="an exponent"),
        pytest.param('"0"', "EUR", "0.00", id="nothing"),
        pytest.param("-0.0", "EUR", "0.00", id="less than nothing is nothing"),
        pytest.param("1200", "JPY", "1200", id="yen have no digits"),
        pytest.param("1.2", "KWD", "1.200", id="dinars have three"),
        pytest.param("90071992547409.91", "EUR", "90071992547409.91", id="the largest"),
        pytest.param("0.1", "EUR", "0.10", id="what no float can hold"),
    ],
)
def test_money_is_exact_and_has_its_currencys_digits(
    amount: str, currency: str, written: str
) -> None:
    data = f'{{"transaction_id": "T", "total": {amount}, "currency": "{currency}"}}'
    answer = sent(f'{{"customer": "c", "action": "checkout", "data": {data}}}')
    assert isinstance(answer, Ready)
    assert msgspec.json.decode(answer.value)["data"]["total"] == written


def test_amounts_without_a_currency_ask_for_the_programs() -> None:
    event = checkout({"currency": None, "items": [{"product_id": "p", "price": 1.5}]})
    assert sent(msgspec.json.encode(event)) is CURRENCY_MISSING
    written = msgspec.json.decode(taken(event, currency="KWD").value)["data"]
    assert (written["currency"], written["items"][0]["price"]) == ("KWD", "1.500")


def test_a_checkout_without_amounts_needs_no_currency() -> None:
    data = {"total": None, "currency": None, "points_rewarded": 5}
    assert "currency" not in msgspec.json.decode(taken(checkout(data)).value)["data"]


def test_null_is_absent_at_any_depth_of_objects() -> None:
    data = {"items": None, "guest": None, "basket": {"bags": None, "list": [None, {"a": None}]}}
    written = msgspec.json.decode(taken(checkout(data)).value)["data"]
    assert written["basket"] == {"list": [None, {}]}
    assert {"items", "guest"}.isdisjoint(written)


@pytest.mark.parametrize(
    ("time", "written"),
    [
        pytest.param("2026-03-01T09:30:00Z", "2026-03-01T09:30:00Z", id="seconds"),
        pytest.param("2026-03-01T09:30:00.120Z", "2026-03-01T09:30:00.120Z", id="milliseconds"),
        pytest.param("2026-03-01T09:30:00.1239999Z", "2026-03-01T09:30:00.124Z", id="nanoseconds"),
        pytest.param("2026-03-01T09:30:00.0004Z", "2026-03-01T09:30:00Z", id="less than one"),
        pytest.param("2026-02-28T23:30:00-10:30", "2026-03-01T10:00:00Z", id="an offset"),
        pytest.param("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z", id="the last year"),
        pytest.param("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z", id="the first year"),
    ],
)
def test_times_are_written_in_utc_with_milliseconds(time: str, written: str) -> None:
    assert taken(points(time=time)).time == written


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))])))
def test_the_short_way_to_utc_is_the_long_one(value: datetime) -> None:
    try:
        expected = instant(value)
    except OverflowError:
        return
    assert utc(value) == expected


# What is refused


@pytest.mark.parametrize(
    ("event", "where"),
    [
        pytest.param(5, [""], id="no object"),
        pytest.param({}, ["/customer", "/action"], id="an empty object"),
        pytest.param(points(custom_er="c"), ["/custom_er"], id="a misspelt member"),
        pytest.param(points(customer=""), ["/customer"], id="an empty customer"),
        pytest.param(points(customer={"$gt": ""}), ["/customer"], id="an operator as customer"),
        pytest.param(points(customer="x" * 129), ["/customer"], id="a customer that is too long"),
        pytest.param(points(customer="a\u0000b"), ["/customer"], id="a control character"),
        pytest.param(points(customer="a\u0085b"), ["/customer"], id="a control character of C1"),
        pytest.param(points(id="a\u007f"), ["/id"], id="a control character, DEL"),
        pytest.param(points(id=""), ["/id"], id="an empty id"),
        pytest.param(points(id=7), ["/id"], id="a number as id"),
        pytest.param(points(account="Main!"), ["/account"], id="an account that is none"),
        pytest.param(points(account="main\n"), ["/account"], id="an account with a line's end"),
        pytest.param(points(action=""), ["/action"], id="an empty action"),
        pytest.param(points(action=["point_add"]), ["/action"], id="a list as action"),
        pytest.param(points(data=[]), ["/data"], id="a list as data"),
        pytest.param(points(data={}), ["/data/points"], id="a missing member"),
        pytest.param(points(data=None), ["/data/points"], id="no data"),
        pytest.param(points(data={"points": True}), ["/data/points"], id="true is no number"),
        pytest.param(points(data={"points": "5"}), ["/data/points"], id="a text is no number"),
        pytest.param(points(data={"points": 0}), ["/data/points"], id="no points"),
        pytest.param(points(data={"points": -5}), ["/data/points"], id="negative points"),
        pytest.param(points(data={"points": 1.5}), ["/data/points"], id="half a point"),
        pytest.param(points(data={"points": 2**53}), ["/data/points"], id="2^53 points"),
        pytest.param(
            points(data={"points": 5, "x": [{"y": -(2**53)}]}), ["/data/x/0/y"], id="-2^53 inside"
        ),
        pytest.param(points(time="yesterday"), ["/time"], id="no time"),
        pytest.param(points(time="2026-03-01T09:30:00"), ["/time"], id="a time without offset"),
        pytest.param(points(time="2026-02-29T09:30:00Z"), ["/time"], id="a day that never was"),
        pytest.param(points(time=1772357400), ["/time"], id="a number as time"),
        pytest.param(points(time="0001-01-01T00:00:00+14:00"), ["/time"], id="before the years"),
        pytest.param(points(time="9999-12-31T23:59:59-14:00"), ["/time"], id="after the years"),
        pytest.param(
            points(data={"points": 5, "expires_at": "9999-12-31T23:59:59-01:00"}),
            ["/data/expires_at"],
            id="an expiry after the years",
        ),
        pytest.param(checkout({"total": -1}), ["/data/total"], id="negative money"),
        pytest.param(checkout({"total": "1.234"}), ["/data/total"], id="too many digits"),
        pytest.param(checkout({"total": "1.200"}), ["/data/total"], id="a text's zeros are digits"),
        pytest.param(checkout({"total": "1_000"}), ["/data/total"], id="underscores"),
        pytest.param(checkout({"total": " 1"}), ["/data/total"], id="a blank"),
        pytest.param(checkout({"total": "\u0661"}), ["/data/total"], id="another script's digit"),
        pytest.param(checkout({"total": "NaN"}), ["/data/total"], id="not a number"),
        pytest.param(checkout({"total": "Infinity"}), ["/data/total"], id="infinite money"),
        pytest.param(checkout({"total": "1e999999"}), ["/data/total"], id="too long an exponent"),
        pytest.param(checkout({"total": "1e99"}), ["/data/total"], id="too much money"),
        pytest.param(checkout({"total": "90071992547409.92"}), ["/data/total"], id="2^53 cents"),
        pytest.param(checkout({"total": True}), ["/data/total"], id="true is no money"),
        pytest.param(checkout({"total": {"$gt": 0}}), ["/data/total"], id="an operator as money"),
        pytest.param(checkout({"currency": "EURO"}), ["/data/currency"], id="a currency too long"),
        pytest.param(checkout({"currency": "XXZ"}), ["/data/currency"], id="no ISO currency"),
        pytest.param(checkout({"currency": "XAU"}), ["/data/currency"], id="gold has no digits"),
        pytest.param(checkout({"items": {}}), ["/data/items"], id="an object as items"),
        pytest.param(checkout({"items": [5]}), ["/data/items/0"], id="a number as item"),
        pytest.param(checkout({"items": [None]}), ["/data/items/0"], id="null as item"),
        pytest.param(
            checkout({"items": [{"product_id": "p"}, {}]}),
            ["/data/items/1/product_id"],
            id="an item without a product",
        ),
        pytest.param(
            checkout({"total": -1, "items": [{"product_id": "p", "price": "x", "discount": -1}]}),
            ["/data/total", "/data/items/0/price", "/data/items/0/discount"],
            id="several amounts, all told",
        ),
        pytest.param(
            checkout({"items": [{"product_id": "p", "quantity": 0}]}),
            ["/data/items/0/quantity"],
            id="no pieces",
        ),
        pytest.param(
            checkout({"items": [{"product_id": "p\n"}]}),
            ["/data/items/0/product_id"],
            id="a control character inside",
        ),
        pytest.param(checkout({"guest": "true"}), ["/data/guest"], id="a text is no yes"),
        pytest.param(
            {
                **points(id="e-1", data={"email": "a@b.c", "phone": "1", "labels": []}),
                "action": "opt_in",
            },
            ["/data/email", "/data/phone"],
            id="personal attributes, each told",
        ),
        pytest.param(checkout({"custom": {"a": 1}}), ["/data/custom"], id="and of any event"),
        pytest.param(
            checkout({"shipping": [{"to": {"last_name": "Ash"}}]}),
            ["/data/shipping/0/to/last_name"],
            id="and inside its data",
        ),
        pytest.param(checkout({"note": "x" * 65_537}), ["/data/note"], id="a text over 64 KiB"),
        pytest.param(
            checkout({"list": ["é" * 32_769]}), ["/data/list/0"], id="64 KiB are counted in bytes"
        ),
        pytest.param(
            points(data={"points": 5, "reason": "x" * 65_537}), ["/data/reason"], id="and"
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(event: object, where: list[str]) -> None:
    refusal = refused(event)
    assert (refusal.code, pointers(refusal)) == ("body_invalid", where)


@pytest.mark.parametrize(
    ("action", "code"),
    [
        ("refund", "action_unavailable"),
        ("profile", "action_unavailable"),
        ("no_such_action", "action_unknown"),
        ("No-such action", "action_unknown"),
        ("x" * 65, "action_unknown"),
        ("tick", "action_unknown"),
    ],
)
def test_an_action_that_nobody_decides_is_refused(action: str, code: str) -> None:
    assert refused(points(action=action)).code == code


def test_a_refusal_names_the_clients_id_but_never_a_made_one() -> None:
    assert refused(points(data={})).id == "e-1"
    assert refused(checkout({"total": -1}, id=None)).id is None
    assert refused(points(id="a\u0000", data={})).id is None


@pytest.mark.parametrize("opening", ['{"a":', "["], ids=["objects", "lists"])
def test_32_levels_are_taken_and_one_more_is_not(opening: str) -> None:
    closing = "}" if opening.startswith("{") else "]"

    def nested(levels: int) -> str:
        inner = opening * levels + "1" + closing * levels
        return f'{{"customer":"c","action":"opt_in","data":{{"x":{inner}}}}}'

    assert isinstance(sent(nested(30)), Ready)
    assert isinstance(sent(nested(31)), Refusal)
    assert isinstance(sent(nested(200)), Refusal)
    with pytest.raises(OutOfBounds):
        sent(nested(5_000))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"{", id="half an object"),
        pytest.param(b'{"a":1}}', id="too much"),
        pytest.param(b"{'a':1}", id="single quotes"),
        pytest.param(b'{"a":1,}', id="a comma too many"),
        pytest.param(b'{"a":NaN}', id="NaN"),
        pytest.param(b'{"a":-Infinity}', id="-Infinity"),
        pytest.param(b'{"a":01}', id="a leading zero"),
        pytest.param(b'{"a":"\xff"}', id="bad UTF-8"),
        pytest.param(b'{"a":"\xed\xa0\x80"}', id="half a surrogate pair in UTF-8"),
        pytest.param(b'{"a":"\\ud800"}', id="half a surrogate pair"),
        pytest.param(b'{"a":"\x01"}', id="a raw control character"),
        pytest.param(b"\xef\xbb\xbf{}", id="a byte order mark"),
        pytest.param(b'{"a":1,"a":1}', id="a name twice"),
        pytest.param(b'{"x":{"a" :1,\n"a"\t:2}}', id="a name twice, spaced out"),
        pytest.param(b'{"a":1,"\\u0061":1}', id="a name twice, once escaped"),
        pytest.param(b'{"a:":1,"a\\u003a":1}', id="a name twice, its colon escaped"),
        pytest.param(b'{"a:":":","b":"\\u003a","a:":1}', id="a name twice behind escaped colons"),
    ],
)
def test_what_is_no_strict_json_is_refused(body: bytes) -> None:
    with pytest.raises(strict.NotJson):
        strict.decode(body)


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(JSON, st.booleans(), st.sampled_from([None, 2]))
@example({"a": {":": ": \u003a"}, "b": '"a": 1'}, True, None)
def test_json_without_a_name_twice_is_read_as_it_is(
    value: Any, ascii_only: bool, indent: int | None
) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    assert strict.decode(body.encode()) == value


# What is the same content


def test_the_hash_is_the_contracts() -> None:
    ready = taken(checkout())
    assert ready.content == content_hash(tenant_secret(SECRET, "demo"), ready.value)
    assert ready.content != ContentKey(SECRET, "other").hash(ready.value)


NAMES = st.sampled_from(["store", "channel", "till", "note"])
AMOUNTS = st.integers(0, 10**9).map(lambda cents: Decimal(cents) / 100)
EVENTS = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["e-1", "e/2", "ä"]),
        "customer": st.sampled_from(["c-1", "c 2"]),
        "action": st.just("checkout"),
        "data": st.fixed_dictionaries(
            {
                "transaction_id": st.sampled_from(["T-1", "T-2"]),
                "total": AMOUNTS,
                "items": st.lists(
                    st.fixed_dictionaries(
                        {"product_id": st.sampled_from(["p1", "p2"]), "price": AMOUNTS},
                        optional={"quantity": st.integers(1, 9)},
                    ),
                    max_size=3,
                ),
            },
            optional={
                "currency": st.sampled_from(["EUR", "USD"]),
                "more": st.dictionaries(NAMES, st.integers() | st.text(), max_size=3).filter(
                    lambda more: all(abs(v) < 2**53 for v in more.values() if isinstance(v, int))
                ),
            },
        ),
    },
    optional={
        "account": st.sampled_from(["main", "other"]),
        "time": st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1)).map(  # noqa: DTZ001
            lambda time: time.replace(microsecond=time.microsecond // 1000 * 1000, tzinfo=UTC)
        ),
    },
)


def spelt(value: Any, draw: Any) -> str:
    """The same value as JSON in one of the ways that clients have for it."""
    if isinstance(value, dict):
        members = draw(st.permutations(sorted(value.items())))
        texts = [f"{json.dumps(name)}: {spelt(member, draw)}" for name, member in members]
        texts += [f'"absent_{number}": null' for number in range(draw(st.integers(0, 1)))]
        return "{" + ", ".join(texts) + "}"
    if isinstance(value, list):
        return "[" + ",".join(spelt(item, draw) for item in value) + "]"
    if isinstance(value, Decimal):
        plain = format(value.normalize(), "f")
        ways = [plain, f"{value:.2f}", f'"{plain}"', f'"{value:.2f}"']
        return str(draw(st.sampled_from(ways)))
    if isinstance(value, datetime):
        minutes = draw(st.sampled_from([-720, -210, 0, 60, 345, 840]))
        return json.dumps(value.astimezone(timezone(timedelta(minutes=minutes))).isoformat())
    return json.dumps(value, ensure_ascii=draw(st.booleans()))


def as_json(event: dict[str, Any], draw: Any) -> str:
    """The envelope takes no unknown members, so `null`s are only strewn into the data."""
    members = draw(st.permutations(sorted(event.items())))
    return (
        "{"
        + ",".join(f"{json.dumps(name)}:{spelt(member, draw)}" for name, member in members)
        + "}"
    )


def hashed(body: str, currency: str = "EUR") -> str:
    answer = sent(body, currency=currency)
    assert isinstance(answer, Ready), (answer, body)
    return answer.content


@given(EVENTS, st.data())
def test_however_the_same_event_is_spelt_its_hash_is_the_same(
    event: dict[str, Any], data: st.DataObject
) -> None:
    assert hashed(as_json(event, data.draw)) == hashed(as_json(event, data.draw))


@given(EVENTS, EVENTS, st.data())
def test_events_that_differ_in_anything_have_different_hashes(
    one: dict[str, Any], other: dict[str, Any], data: st.DataObject
) -> None:
    assume(one != other)
    assert hashed(as_json(one, data.draw)) != hashed(as_json(other, data.draw))


@given(EVENTS, st.data())
def test_the_programs_currency_is_no_part_of_the_content(
    event: dict[str, Any], data: st.DataObject
) -> None:
    event["data"].pop("currency", None)
    body = as_json(event, data.draw)
    assert hashed(body, "EUR") == hashed(body, "KWD")


# The quick pass and the contract


TEXTS = st.text(alphabet=st.sampled_from('a/é\\"\n\t\x00\x7f\x85\xa0°\u2028😀~'), max_size=6)


@given(TEXTS, TEXTS, TEXTS, TEXTS)
def test_the_quick_pass_takes_what_the_contract_takes(
    event_id: str, customer: str, product: str, note: str
) -> None:
    assume(not event_id.startswith("~"))
    event = checkout(
        {"items": [{"product_id": product}], "note": note}, id=event_id, customer=customer
    )
    answer = sent(msgspec.json.encode(event))
    try:
        msgspec.convert({"id": event_id, "customer": customer, "action": "checkout"}, Envelope)
        msgspec.convert(event["data"], Checkout)
    except msgspec.ValidationError:
        assert isinstance(answer, Refusal)
    else:
        assert isinstance(answer, Ready)
