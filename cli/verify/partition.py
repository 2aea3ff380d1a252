"""One partition, audited: the journal walked once, everything else beside it."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from pymongo import MongoClient
from pymongo.database import Database

from cli.verify.announced import of_event
from cli.verify.cards import cards_of, check_cards
from cli.verify.cursors import check_cursors
from cli.verify.decisions import Fold, Owner, stored_decisions
from cli.verify.documents import PLAIN, customer_of
from cli.verify.findings import Findings
from cli.verify.journal import EVENTS, Journal
from cli.verify.ledger import Ledger
from cli.verify.parked import parked_of
from cli.verify.profiles import Profiles, check_profiles
from cli.verify.snapshot import Part
from cli.verify.standings import apart
from cli.verify.states import check_states
from cli.verify.topic import Place, Reader, Topic, open_place
from shared.contracts.decisions import number
from shared.contracts.topics import INBOX, LOG
from shared.runtime.mongo import field_name
from shared.runtime.ports import Document
from shared.runtime.settings import Settings

Advance = Callable[[int], None]
"""Is told how many more events are checked."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the immutable part is read from."""

    settings: Settings
    client: MongoClient[Document]

    def database(self, service: str) -> Database[Document]:
        """Of a service, with instants as the auditor takes them."""
        return self.client.get_database(self.settings.database(service), codec_options=PLAIN)


def check_partition(sources: Sources, part: Part, found: Findings, advance: Advance) -> None:
    """Adds every difference of the partition to `found`. Raises `KafkaException`,
    `PyMongoError`."""
    check_cursors(part, found)
    with ExitStack() as opened:
        _Partition(sources, part, found, opened).check(advance)


class _Partition:
    def __init__(self, sources: Sources, part: Part, found: Findings, opened: ExitStack) -> None:
        self._sources, self._part, self._found, self._opened = sources, part, found, opened
        self._log = self._topic(LOG.name, "seq", "journal")
        self._ledger, self._profiles, self._cards = Ledger(found), Profiles(found), cards_of(part)
        self._points = self._owner("points", self._fold_points)
        self._customers = self._owner("customers", self._fold_customers)

    def check(self, advance: Advance) -> None:
        for chunk in Journal(self._sources.database("journal"), self._part, self._found).chunks():
            for event in chunk:
                self._check_event(event)
            advance(len(chunk))
        self._log.finish()
        self._points.finish()
        self._customers.finish()
        self._check_inbox()
        check_states(self._ledger, self._part, self._found)
        check_profiles(self._profiles, self._part, self._found)
        check_cards(self._cards, self._part, self._found)

    def _check_event(self, event: Document) -> None:
        key = customer_of(event)
        message = self._log.take(event["seq"], key)
        if message is not None:
            for sentence in of_event(message, event, self._part.lineage):
                self._found.differ(EVENTS, key, event["_id"], sentence)
        self._points.take(event)
        self._customers.take(event)
        if sentence := apart(self._customers, self._points, event["seq"]):
            at = number(self._part.partition, event["seq"])
            self._found.differ("points.decisions", key, at, sentence)

    def _check_inbox(self) -> None:
        cursor, place = self._part.cursor("journal"), self._place(INBOX.name)
        offset = cursor["next"].get(field_name(INBOX.name), 0)
        if offset > place.high:
            sentence = f"reads {INBOX.name} from {offset}, but it ends at {place.high}"
            self._found.differ("journal.cursors", "", self._part.partition, sentence)

    def _fold_points(self, decision: Document) -> None:
        self._ledger.fold(decision)
        self._cards.of_points(decision)

    def _fold_customers(self, decision: Document) -> None:
        self._profiles.fold(decision)
        self._cards.of_customers(decision)

    def _owner(self, service: str, fold: Fold) -> Owner:
        part = self._part
        records, customers = part.of(f"{service}.parked"), part.of(f"{service}.parked_customers")
        return Owner(
            service,
            stored_decisions(self._sources.database(service), part, service),
            part,
            parked_of(service, records, customers, self._found),
            self._topic(f"{service}.facts", "decision", service),
            fold,
            self._found,
        )

    def _topic(self, name: str, number_header: str, writer: str) -> Topic:
        cursor, field = self._part.cursor(writer), field_name(name)
        readers = [
            Reader(of["next"][field], service, of["seen"].get(field, 0))
            for service in self._part.cursors
            if field in (of := self._part.cursor(service))["next"]
        ]
        return Topic(
            name,
            self._part.partition,
            self._place(name),
            number_header,
            cursor["announced"],
            cursor["last"],
            readers,
            self._found,
        )

    def _place(self, topic: str) -> Place:
        place = open_place(self._sources.settings, topic, self._part.partition)
        self._opened.callback(place.consumer.close)
        return place
