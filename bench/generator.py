"""Load for the gateway: so many connections, each with one request in flight, as fast as it answers
or at a steady rate; says what came of it.

    python -m bench.generator --port 8080 --key KEY --connections 64 --seconds 8
"""

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import Sequence

import uvloop

from bench import wrk
from bench.children import say, wait_for_end
from bench.wire import Answer, Connection, Template, post
from cli.probes import percentile

TAKEN = frozenset({200, 202})


class Load:
    """The requests of a run, and their answers. Those of the warm-up are sent and not counted."""

    def __init__(self, asked: argparse.Namespace) -> None:
        self._template = Template(asked.run, asked.customers)
        self._batch: int = asked.batch
        self._path = "/v1/events/batch" if asked.batch > 1 else "/v1/events"
        self._key: str = asked.key
        self._pause = asked.batch / asked.rate if asked.rate else 0.0
        self._number = 0
        self._next_at = 0.0
        self.taken_requests = 0
        """In all, the warm-up included."""
        self.refused: Counter[int] = Counter()
        self.seconds: list[float] = []
        """Of each counted request."""
        self.first = asyncio.Event()
        """One was counted."""
        self.counting = False
        self.stopping = False

    def request(self) -> bytes:
        """The next one."""
        first, self._number = self._number, self._number + self._batch
        if self._batch == 1:
            body = self._template.body(first)
        else:
            events = map(self._template.body, range(first, self._number))
            body = f'{{"events":[{",".join(events)}]}}'
        return post(self._path, self._key, body.encode())

    def due_in(self, now: float) -> float:
        """Seconds until the next request may go; 0 without a rate."""
        if not self._pause:
            return 0.0
        self._next_at = max(self._next_at + self._pause, now - 1)
        return max(0.0, self._next_at - now)

    def answered(self, answer: Answer, seconds: float) -> None:
        """Counts it."""
        if answer.status in TAKEN:
            self.taken_requests += 1
        else:
            self.refused[answer.status] += 1
        if self.counting:
            self.seconds.append(seconds)
            self.first.set()


class Client:
    """One connection: request, answer, next request."""

    def __init__(self, load: Load, connection: Connection) -> None:
        self._load = load
        self._connection = connection
        self._sent_at = 0.0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        connection.answered = self._answered
        connection.lost = self._end

    def go_on(self) -> None:
        """Sends the next request when its time comes; ends where the load does."""
        if self._load.stopping:
            self._connection.close()
        elif wait := self._load.due_in(time.perf_counter()):
            asyncio.get_running_loop().call_later(wait, self._send)
        else:
            self._send()

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self._connection.send(self._load.request())

    def _answered(self, answer: Answer) -> None:
        self._load.answered(answer, time.perf_counter() - self._sent_at)
        self.go_on()

    def _end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


async def run(asked: argparse.Namespace) -> None:
    """Warms up, says `{"begun": true}`, counts for so many seconds, says what came of it."""
    load, loop = Load(asked), asyncio.get_running_loop()
    clients = []
    for _ in range(asked.connections):
        _, connection = await loop.create_connection(Connection, "127.0.0.1", asked.port)
        clients.append(Client(load, connection))
    for client in clients:
        client.go_on()
    await asyncio.sleep(asked.warm_up)
    say({"begun": True})
    load.counting, began = True, time.perf_counter()
    await asyncio.sleep(asked.seconds)
    await load.first.wait()  # a short run on a busy machine
    load.counting, seconds = False, time.perf_counter() - began
    requests = list(load.seconds)
    load.stopping = True
    await asyncio.wait([client.ended for client in clients])
    say(
        {
            "requests": len(requests),
            "events": len(requests) * asked.batch,
            "seconds": seconds,
            "p50_ms": round(percentile(requests, 50) * 1000, 1),
            "p99_ms": round(percentile(requests, 99) * 1000, 1),
            "taken_in_all": load.taken_requests * asked.batch,
            "refused": dict(load.refused),
        }
    )


def by_wrk(asked: argparse.Namespace) -> None:
    """The same with wrk, which knows no rate; what is in flight at its end, it does not count."""
    warm = wrk.load(asked, f"{asked.run}w", asked.warm_up)
    say({"begun": True})
    done = wrk.load(asked, asked.run, asked.seconds)
    taken = sum(said["requests"] - said["refused"] for said in (warm, done))
    refused = warm["refused"] + done["refused"]
    say(
        {
            "requests": done["requests"],
            "events": done["requests"] * asked.batch,
            "seconds": done["microseconds"] / 1e6,
            "p50_ms": round(done["p50"] / 1000, 1),
            "p99_ms": round(done["p99"] / 1000, 1),
            "taken_in_all": taken * asked.batch,
            "refused": {"other than 2xx": refused} if refused else {},
        }
    )


def main(arguments: Sequence[str]) -> int:
    """Ends when its input does."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--warm-up", type=float, default=2.0)
    parser.add_argument("--batch", type=int, default=1, help="events in a request")
    parser.add_argument("--rate", type=float, default=0.0, help="events per second; 0: no limit")
    parser.add_argument("--customers", type=int, default=2_500)
    parser.add_argument("--run", default="g", help="the beginning of every id")
    parser.add_argument("--wrk", default="", help="where wrk is; empty: the load is made here")
    asked = parser.parse_args(arguments)
    if asked.wrk:
        by_wrk(asked)
    else:
        uvloop.run(run(asked))
    wait_for_end()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
