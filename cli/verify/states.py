"""The stored states of points beside the ledger: standing, balances, and what lots say of them."""

from collections.abc import Iterator, Mapping

from cli.verify.documents import UNREADABLE, unlike
from cli.verify.findings import Findings
from cli.verify.ledger import PAGE_LOTS, Account, Customer, Ledger
from cli.verify.lots import (
    AccountOf,
    Pages,
    check_closed,
    check_pages,
    last_page,
    not_in_pages,
    wrong_lots,
)
from cli.verify.snapshot import Part
from shared.runtime.ports import Document

STATES = "points.states"
KEPT = ("score", "spent", "pending", "reserved", "expired", "made")


def check_states(ledger: Ledger, part: Part, found: Findings) -> None:
    """Everything that points keeps beside its decisions."""
    stored = {state["_id"]: state for state in part.of(STATES)}
    pages = check_pages(ledger, part, found)
    check_closed(ledger, part, found)
    found.checked[STATES] += len(stored)
    for key, customer in ledger.customers.items():
        state = stored.pop(key, None)
        if state is None:
            found.differ(STATES, key, key, "is not stored, though decisions changed it")
            continue
        try:
            for sentence in _wrong(key, state, customer, part.partition, pages):
                found.differ(STATES, key, key, sentence)
        except UNREADABLE as error:
            found.differ(STATES, key, key, f"is not of a state's shape ({error!r})")
    for key in stored:
        found.differ(STATES, key, key, "is stored, though no decision made it")


def _wrong(
    key: str, state: Document, customer: Customer, partition: int, pages: Mapping[AccountOf, Pages]
) -> Iterator[str]:
    expected = {
        "tenant": customer.tenant,
        "customer": customer.id,
        "partition": partition,
        "standing": customer.standing,
        "generation": customer.generation,
        "since": began(customer.forgotten),
    }
    if wrong := unlike(state, expected):
        yield wrong
    accounts: dict[str, Document] = state["accounts"]
    if accounts.keys() != customer.accounts.keys():
        yield f"has accounts {sorted(accounts)}, not {sorted(customer.accounts)}"
    for id_, account in customer.accounts.items():
        if id_ in accounts:
            of = pages.get((key, customer.generation, id_), Pages())
            for sentence in _wrong_account(accounts[id_], account, of):
                yield f"account {id_}: {sentence}"


def began(forgotten: int) -> int:
    """From which number on decisions count: behind the one with which the former generation
    ended."""
    return forgotten + 1 if forgotten else 0


def _wrong_account(stored: Document, account: Account, pages: Pages) -> Iterator[str]:
    if last := last_page(stored):
        pages.add(account.made // PAGE_LOTS, last)
    for sentence in wrong_lots(last, not_in_pages(account)):
        yield f"its last page {sentence}"
    expected = {name: getattr(account, name) for name in KEPT}
    if wrong := unlike(stored, expected | {"due": account.due}):
        yield wrong
    spendable = stored["score"] - stored["spent"] - stored["expired"] - stored["reserved"]
    if pages.open != max(0, spendable) + stored["reserved"]:
        yield (
            f"spendable is {spendable} and reserved {stored['reserved']}, but its open lots hold "
            f"{pages.open}"
        )
    if stored["due"] != pages.due:
        yield f"due is {stored['due']}, but of its open lots {pages.due}"
    if pages.lowest is not None and stored["first"] > pages.lowest:
        yield f"first is {stored['first']}, but page {pages.lowest} holds open lots"
