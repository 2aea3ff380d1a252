"""Events at a steady rate, and for some of them: how long until a read shows the balance.

    python -m bench.probing --gateway 8080 --query 8082 --key KEY --rate 200 --seconds 20

Open loop: an event is sent when its time has come, whatever became of those before it, and its time
counts from then on. A watched event is the first of a customer who has no points yet: as soon as
the gateway has answered 202, the customer is read again and again, with no pause, until an answer
shows the points. Its latency ends with that answer: the gateway, the inbox, the journal's
transaction, the log, the transaction of points, and the read itself are in it.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from functools import partial

import uvloop

from bench.children import say, wait_for_end
from bench.wire import Answer, Connection, Template, get, post
from cli.probes import percentile

CONNECTIONS_MAX = 1_000
PATIENCE_SECONDS = 30.0
TRIES = 3


class Pool:
    """Connections to one port, made when none is free."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._free: list[Connection] = []
        self._made = 0

    async def ask(self, request: bytes) -> Answer:
        """One request. Sent again where the server has closed the connection in that moment, which
        it does to idle ones; raises `RuntimeError` where that does not help."""
        for _ in range(TRIES):
            connection = self._free.pop() if self._free else await self._connect()
            answer: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
            connection.answered = answer.set_result
            connection.lost = partial(_lost, answer)
            connection.send(request)
            result = await answer
            if result is not None:
                self._free.append(connection)
                connection.lost = partial(self._gone, connection)
                return result
            self._made -= 1
        raise RuntimeError(f"port {self._port} closes each connection without an answer")

    async def _connect(self) -> Connection:
        self._made += 1
        if self._made > CONNECTIONS_MAX:
            raise RuntimeError(f"more than {CONNECTIONS_MAX} requests at once: it does not keep up")
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(Connection, "127.0.0.1", self._port)
        return connection

    def _gone(self, connection: Connection) -> None:
        self._free.remove(connection)
        self._made -= 1


class Probing:
    """One run: what was sent, and how long it took."""

    def __init__(self, asked: argparse.Namespace) -> None:
        self._asked = asked
        self._gateway, self._query = Pool(asked.gateway), Pool(asked.query)
        self._load = Template("load", asked.customers)
        self._watched = Template("watched", asked.watched, "w")
        self.taken: list[float] = []
        self.visible: list[float] = []
        self.reads = 0

    async def event(self, number: int, due: float, *, counts: bool) -> None:
        """Sends one; watches it where its turn is."""
        watched = counts and number % self._asked.every == 0
        which = number // self._asked.every
        body = self._watched.body(which) if watched else self._load.body(number)
        key = self._asked.key
        answer = await self._gateway.ask(post("/v1/events", key, body.encode()))
        if answer.status != 202:
            raise RuntimeError(f"the gateway answered {answer.status}: {answer.body[:200]!r}")
        if counts:
            self.taken.append(time.perf_counter() - due)
        if watched:
            await self._until_visible(get(f"/v1/customers/w-{which:05}", key), due)

    async def _until_visible(self, request: bytes, due: float) -> None:
        while True:
            answer = await self._query.ask(request)
            now = time.perf_counter()
            self.reads += 1
            if answer.status == 200 and _spendable(answer.body) == self._watched.points:
                self.visible.append(now - due)
                return
            if now - due > PATIENCE_SECONDS:
                raise RuntimeError(f"not visible: {answer.status} {answer.body[:200]!r}")


def _lost(answer: "asyncio.Future[Answer | None]") -> None:
    if not answer.done():
        answer.set_result(None)


def _spendable(body: bytes) -> int:
    return sum(int(account["spendable"]) for account in json.loads(body)["accounts"])


async def run(asked: argparse.Namespace) -> None:
    """Warms up, says `{"begun": true}`, sends for so many seconds, waits for the last, says what
    came of it."""
    probing = Probing(asked)
    warm, count = int(asked.warm_up * asked.rate), int(asked.seconds * asked.rate)
    began = time.perf_counter() + 0.1
    async with asyncio.TaskGroup() as tasks:
        for number in range(-warm, count):
            due = began + (number + warm) / asked.rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            if number == 0:
                say({"begun": True})
            tasks.create_task(probing.event(number % 10**8, due, counts=number >= 0))
    say(
        {
            "events": count,
            "watched": len(probing.visible),
            "reads": probing.reads,
            "latency_p50_ms": _milliseconds(probing.visible, 50),
            "latency_p99_ms": _milliseconds(probing.visible, 99),
            "answer_p50_ms": _milliseconds(probing.taken, 50),
            "answer_p99_ms": _milliseconds(probing.taken, 99),
        }
    )


def _milliseconds(values: Sequence[float], percent: int) -> float:
    return round(percentile(values, percent) * 1000, 1)


def main(arguments: Sequence[str]) -> int:
    """Ends when its input does."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--gateway", type=int, required=True, help="its port")
    parser.add_argument("--query", type=int, required=True, help="its port")
    parser.add_argument("--key", required=True)
    parser.add_argument("--rate", type=int, default=200, help="events per second")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--warm-up", type=float, default=2.0)
    parser.add_argument("--every", type=int, default=8, help="one in so many is watched")
    parser.add_argument("--customers", type=int, default=2_500, help="c-00000 and so on")
    parser.add_argument("--watched", type=int, default=500, help="w-00000 and so on, fresh")
    uvloop.run(run(parser.parse_args(arguments)))
    wait_for_end()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
