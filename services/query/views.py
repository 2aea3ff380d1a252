"""Views: stored documents → customers and transactions as clients read them. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from services.query.answers import (
    AccountBalance,
    CouponCounts,
    Customer,
    CustomerRow,
    Item,
    Status,
    TransactionRow,
)
from shared.contracts import money
from shared.contracts.outcomes import outcome_of
from shared.contracts.standing import shown
from shared.runtime.ports import Document

BALANCES = ("score", "spent", "pending", "reserved", "expired")


def event_answer(event: str, decision: Document | None) -> Mapping[str, object]:
    """An event's outcome, or its refusal as a member of an answer, or `queued` while undecided."""
    if decision is None:
        return {"id": event, "status": "queued"}
    outcome = outcome_of(decision)
    if decision["outcome"] == "refused":
        return {"id": event, "status": "refused", "problem": outcome}
    return outcome


def customer_row(card: Document, due: int) -> CustomerRow:
    """A card as a row of the list; `due`: points of lots that no spend could take any more."""
    return CustomerRow(
        id=card["id"],
        name=None,
        email=None,
        status=card["status"],
        score=card["score"],
        spent=card["spent"],
        expired=card["expired"],
        spendable=card["spendable"] - due,
        last_login=None,
    )


def customer(
    id_: str,
    profile: Document | None,
    state: Document | None,
    due: Mapping[str, int],
    accounts: Mapping[str, Document],
) -> Customer:
    """A customer from what customers and points keep; one of the two may not be there yet.

    `due`: points of due lots by account. `accounts`: the program's, for names and types.
    """
    standing = (profile or state or {})["standing"]
    held: Mapping[str, Document] = (state or {}).get("accounts", {})
    return Customer(
        id=id_,
        status=cast("Status", shown(standing)),
        profile={},
        accounts=[
            _account(account, held[account], due.get(account, 0), accounts.get(account))
            for account in sorted(held)
        ],
        tiers=[],
        segments=[],
        lists=[],
        labels=list((profile or {}).get("labels", ())),
        coupons=CouponCounts(
            claimed=0, unassigned=0, redeemed=0, expired=0, invalid=0, transferred=0
        ),
    )


def _account(id_: str, balance: Document, due: int, entity: Document | None) -> AccountBalance:
    document = entity["document"] if entity else {}
    spendable = balance["score"] - balance["spent"] - balance["expired"] - balance["reserved"]
    return AccountBalance(
        id=id_,
        name=document.get("name"),
        type=document.get("type", "standard") if entity else None,
        spendable=spendable - due,
        **{name: balance[name] for name in BALANCES},
    )


def transaction_row(
    decision: Document, data: Mapping[str, Any], *, forgotten: bool
) -> TransactionRow:
    """A checkout accepted at once: its decision is the record. `data`: what the client sent.

    `forgotten`: the customer has opted out since, so the row no longer says who it was (CUS-09).
    """
    transaction = decision["transaction"]
    currency = transaction["currency"]
    return TransactionRow(
        transaction_id=transaction["id"],
        account=transaction["account"] or None,
        customer=None if forgotten else decision["customer"],
        checkout_at=decision["time"],
        recorded_at=decision["at"],
        points_rewarded=transaction["rewarded"],
        points_burned=transaction["burned"],
        status="accepted",
        total=money.as_text(transaction["total"], currency),
        refunded=money.as_text(0, currency),
        currency=currency,
        items=items(data.get("items") or (), currency),
    )


def items(lines: Iterable[Mapping[str, Any]], currency: str) -> list[Item]:
    """Lines as stored with the event: amounts are texts already."""
    return [
        Item(
            product_id=line["product_id"],
            product_name=line.get("product_name"),
            category=line.get("category"),
            quantity=line.get("quantity", 1),
            price=line.get("price"),
            discount=line.get("discount"),
            subtotal=_subtotal(line, currency),
        )
        for line in lines
    ]


def _subtotal(line: Mapping[str, Any], currency: str) -> str | None:
    """As sent, else price x quantity - discount, never below 0 (Part 5); `None` without a price."""
    if line.get("subtotal") is not None:
        return cast("str", line["subtotal"])
    if line.get("price") is None:
        return None
    whole = money.from_text(line["price"]) * line.get("quantity", 1)
    discount = money.from_text(line.get("discount") or "0")
    return money.as_text(max(0, whole - discount), currency)
