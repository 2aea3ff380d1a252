"""Sending to a gateway that limits the rate: slower, and each event once."""

import asyncio
from collections.abc import Iterator

import msgspec
import pytest

from cli.sending import Loader, Sending
from cli.shopping import Line
from cli.tally import Tally
from shared.runtime.settings import Settings
from tests.ingest.serving import Inbox, serving

EVENTS = 300


def lines() -> Iterator[tuple[int, Line]]:
    for number in range(EVENTS):
        customer = f"c-{number % 20}"
        body = {"id": f"e-{number}", "customer": customer, "action": "opt_in"}
        yield number, Line(customer, msgspec.json.encode(body))


@pytest.mark.parametrize(
    "burst",
    [
        pytest.param(100, id="batches that fit the burst"),
        pytest.param(20, id="batches larger than the burst"),
    ],
)
def test_a_limited_key_gets_all_its_events_in_each_once(settings: Settings, burst: int) -> None:
    update = {"rate_events_per_second": 300, "rate_burst_events": burst}
    tally = Tally()
    reasons = set()
    with serving(settings.model_copy(update=update)) as gateway:
        inbox = Inbox(settings)
        sending = Sending(
            str(gateway.base_url), "local-admin-key", lanes=3, batch=40, wait_seconds=0
        )
        loader = Loader(sending, tally, lambda: reasons.add(tally.waiting))
        asyncio.run(loader.send(lines()))
        arrived = inbox.take(EVENTS)
        size = inbox.size()
        inbox.close()
    assert (tally.queued, tally.refused.total()) == (EVENTS, 0)
    assert {message.headers["ce_id"] for message in arrived} == {f"e-{n}" for n in range(EVENTS)}
    assert size == EVENTS
    assert "the gateway takes no more events of this key for the moment" in reasons
