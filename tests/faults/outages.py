"""Servers die, stay away, or grow slow, while clients post through the real gateway."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.servers import Server, Servers
from shared.runtime.settings import Settings
from tests.faults.audit import inexact
from tests.faults.clients import Answers, Clients
from tests.faults.model import Model, model_of
from tests.faults.progress import Progress
from tests.faults.proxy import Proxy, proxied
from tests.faults.report import Section, table
from tests.faults.staging import WORKERS, add_worker, held, moments, set_program, wait
from tests.running import Stack, stack_of

QUIET_EVENTS = 200
"""So many are decided before each outage: everything is warm, and something is always under way."""
QUIET_SECONDS = 120.0
RECOVERED_SECONDS = 120.0
CAUGHT_UP_SECONDS = 120.0


@dataclass
class Scene:
    """What an outage may act upon."""

    stack: Stack
    servers: Servers
    proxy: Proxy
    progress: Progress
    clients: Clients
    trouble: list[str] = field(default_factory=list)
    """What did not go as the outage wanted it."""


@dataclass(frozen=True)
class Outage:
    """`strike` does it, lets time pass, and mends it; `did` says so."""

    name: str
    did: str
    strike: Callable[[Scene], None]


def mongod_killed(seconds: float) -> Outage:
    """SIGKILL, and started again after so long."""

    def strike(scene: Scene) -> None:
        with _gone(scene.servers.mongod):
            _pass(seconds)

    did = f"mongod is killed (SIGKILL) and started again after {seconds:g} s"
    return Outage("mongod killed", did, strike)


def broker_killed(seconds: float) -> Outage:
    """SIGKILL, and started again after so long."""

    def strike(scene: Scene) -> None:
        with _gone(scene.servers.kafka):
            _pass(seconds)

    did = f"the broker is killed (SIGKILL) and started again after {seconds:g} s"
    return Outage("broker killed", did, strike)


def broker_away_while_announcing(seconds: float) -> Outage:
    """Killed when all who announce hold a committed batch that is not announced."""

    def strike(scene: Scene) -> None:
        with held(scene.stack, "points", "customers", "journal") as all_hold:
            if not all_hold:
                scene.trouble.append("no batch could be held between commit and announcement")
            scene.servers.kafka.kill()
        with _gone(scene.servers.kafka):
            _pass(seconds)

    did = (
        "journal, customers and points wait with a committed batch until the broker is dead, then "
        f"announce it; the broker comes back after {seconds:g} s"
    )
    return Outage("broker away in the middle of announcing", did, strike)


def database_slow(seconds: float) -> Outage:
    """Latency on each reply; then connections break, and answers to commits are lost."""

    def strike(scene: Scene) -> None:
        scene.proxy.slow(0.05, 0.2)
        _pass(seconds / 2)
        scene.proxy.break_all()
        scene.proxy.lose_commits(6)
        _pass(seconds / 2)
        if not scene.proxy.commits_lost:
            scene.trouble.append("no answer to a commit was lost")
        scene.proxy.slow(0, 0)

    did = (
        f"every reply of mongod is 50 to 200 ms late for {seconds:g} s; halfway all connections "
        "are cut at once, then those of the next six commits, after the database has committed"
    )
    return Outage("database slow, then cut", did, strike)


@dataclass
class Seen:
    """What came of one outage."""

    outage: Outage
    lasted: float
    acknowledged_after: float
    decided_after: float
    restarts: dict[str, int]


def outages(
    settings: Settings,
    folder: Path,
    servers: Servers,
    todo: Sequence[Outage],
    mutation: str = "",
) -> Section:
    """One outage after the other, under clients; then everything settles and is compared.
    `mutation` names a defect of the gateway that must be found."""
    with proxied(servers.mongod.port) as proxy, Progress(settings) as progress:
        behind = settings.model_copy(update={"mongo_url": proxy.mongo_url})
        with stack_of(behind, folder) as stack:
            set_program(stack)
            for name in ("gateway", *WORKERS):
                add_worker(stack, name, mutation=mutation if name == "gateway" else "")
            stack.start()
            stack.keep_alive()
            with Clients(stack.gateway) as clients:
                scene = Scene(stack, servers, proxy, progress, clients)
                seen = [_suffer(scene, outage) for outage in todo]
            if not progress.caught_up(CAUGHT_UP_SECONDS):
                scene.trouble.append("the services did not catch up")
    model = model_of(settings)
    answers = clients.answers
    return Section(
        title="; ".join(outage.name for outage in todo),
        did="Clients post events through the gateway, one by one, in batches, and waiting for the "
        "outcome; what is refused (503) they send again with its id. Meanwhile "
        + "; ".join(outage.did for outage in todo)
        + ".",
        facts={
            "events acknowledged": f"{len(answers.acknowledged):,}",
            "outcomes answered": f"{len(answers.told):,}",
            "commits whose answer was lost": proxy.commits_lost,
        },
        tables=[_recoveries(seen), _statuses(answers)],
        differences=[
            *scene.trouble,
            *answers.wrong,
            *_broken_promises(answers, model),
            *inexact(settings, model),
        ],
    )


def _suffer(scene: Scene, outage: Outage) -> Seen:
    clients, progress = scene.clients, scene.progress
    before = progress.done("points")

    def all_is_well() -> bool:
        return clients.enrolled() and progress.done("points") >= before + QUIET_EVENTS

    if not wait(all_is_well, QUIET_SECONDS):
        scene.trouble.append(f"too little happened before: {outage.name}")
    starts = {name: process.starts for name, process in scene.stack.processes.items()}
    began = time.monotonic()
    clients.during = outage.name
    outage.strike(scene)
    mended = time.monotonic()
    acknowledged = _after(mended, lambda: clients.answers.acknowledged_at > mended)
    done = progress.done("points")
    decided = _after(mended, lambda: progress.done("points") > done)
    if max(acknowledged, decided) > RECOVERED_SECONDS:
        scene.trouble.append(f"no recovery within {RECOVERED_SECONDS:g} s: {outage.name}")
    clients.during = "quiet"
    now = {name: process.starts for name, process in scene.stack.processes.items()}
    restarts = {name: now[name] - starts[name] for name in now if now[name] > starts[name]}
    return Seen(outage, mended - began, acknowledged, decided, restarts)


def _after(mended: float, true: Callable[[], bool]) -> float:
    wait(true, RECOVERED_SECONDS + 1)
    return time.monotonic() - mended


@contextmanager
def _gone(server: Server) -> Iterator[None]:
    """Dead within the block, ready after it, whatever happens."""
    server.kill()
    try:
        yield
    finally:
        server.start()


def _pass(seconds: float) -> None:
    for _ in moments(seconds):
        pass


def _broken_promises(answers: Answers, model: Model) -> list[str]:
    """Acknowledged and not on the inbox; answered and decided otherwise."""
    lost = sorted(answers.acknowledged - model.outcomes.keys())
    return [f"{event}: acknowledged, and lost" for event in lost] + [
        f"{event}: answered {told}, but it is {model.outcomes.get(event)}"
        for event, told in answers.told.items()
        if event not in lost and told != model.outcomes.get(event)
    ]


def _recoveries(seen: Sequence[Seen]) -> str:
    return table(
        [
            *("outage", "lasted", "first acknowledged after", "first decided after"),
            "started again by the supervisor",
        ],
        [
            [
                one.outage.name,
                f"{one.lasted:.1f} s",
                f"{one.acknowledged_after:.1f} s",
                f"{one.decided_after:.1f} s",
                ", ".join(f"{name} {n}" for name, n in one.restarts.items()) or "nobody",
            ]
            for one in seen
        ],
    )


def _statuses(answers: Answers) -> str:
    """How often which status, by what was going on."""
    seen = sorted({status for _, status in answers.statuses})
    names = sorted({during for during, _ in answers.statuses}, key=lambda name: name != "quiet")
    return table(
        ["answers of the gateway", *seen, "slowest"],
        [
            [
                during,
                *(answers.statuses[during, status] for status in seen),
                f"{answers.slowest.get(during, 0.0):.1f} s",
            ]
            for during in names
        ],
    )
