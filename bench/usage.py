"""What processes and mongod spend while something is measured: CPU, memory, document writes."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from shared.runtime.ports import Document

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
CORES = os.cpu_count() or 1
MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Usage:
    """One process during a measurement; memory is resident, at the start and at the end."""

    cpu_seconds: float
    rss_start_mb: float
    rss_end_mb: float


@dataclass(frozen=True, slots=True)
class Measured:
    """One measurement. `events` of them took `seconds` on the wall."""

    events: int
    seconds: float
    processes: Mapping[str, Usage]
    documents: Mapping[str, int]
    """Written in mongod: inserted, updated, deleted; of which by what is no event, too."""
    log_bytes: int
    """What mongod wrote into its write-ahead log."""
    others_cores: float
    """Cores that other programs of the machine kept busy meanwhile: above 0.1, it was not quiet."""
    more: Mapping[str, float] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Events per second."""
        return self.events / self.seconds

    def cpu_microseconds(self, process: str | None = None) -> float:
        """Per event, of one process or of all: a busy machine moves it far less than the rate."""
        names = [process] if process else list(self.processes)
        return sum(self.processes[name].cpu_seconds for name in names) / self.events * 1e6

    def cores(self, process: str) -> float:
        """How many it kept busy."""
        return round(self.processes[process].cpu_seconds / self.seconds, 2)

    @property
    def documents_per_event(self) -> float:
        """Document writes of all services."""
        return sum(self.documents.values()) / self.events


class Watch:
    """Snapshots of the same processes and of mongod, before and after."""

    def __init__(self, pids: Mapping[str, int], mongo: MongoClient[Document]) -> None:
        self._pids = dict(pids)
        self._mongo = mongo

    def begin(self) -> None:
        """The clock runs from here."""
        self._began = time.perf_counter()
        self._cpu = {name: cpu_seconds(pid) for name, pid in self._pids.items()}
        self._rss = {name: rss_bytes(pid) for name, pid in self._pids.items()}
        self._busy, self._counted_at = busy_seconds(), time.perf_counter()
        self._server = _server_counts(self._mongo)

    def end(self, events: int, seconds: float | None = None, **more: float) -> Measured:
        """What was spent since `begin` on so many events; `seconds`: the stage's own clock."""
        now = time.perf_counter()
        spent = {name: cpu_seconds(pid) - self._cpu[name] for name, pid in self._pids.items()}
        busy = busy_seconds() - self._busy
        server = _server_counts(self._mongo)
        wrote = {name: server[name] - before for name, before in self._server.items()}
        return Measured(
            events,
            seconds or now - self._began,
            {
                name: Usage(spent[name], self._rss[name] / MEGABYTE, rss_bytes(pid) / MEGABYTE)
                for name, pid in self._pids.items()
            },
            {name: wrote[name] for name in ("inserted", "updated", "deleted")},
            wrote["log_bytes"],
            max(0.0, busy - sum(spent.values())) / (now - self._counted_at),
            more,
        )


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, all its threads, and its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICKS_PER_SECOND


def rss_bytes(pid: int) -> int:
    """Resident memory."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * PAGE_BYTES


def busy_seconds() -> float:
    """CPU time that the whole machine has spent, over all cores, since it was started."""
    first = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()
    user, nice, system, _, _, irq, softirq, steal = map(int, first[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND


def _server_counts(mongo: MongoClient[Document]) -> dict[str, int]:
    status: dict[str, Any] = mongo.admin.command("serverStatus")
    documents = status["metrics"]["document"]
    counts = {name: int(documents[name]) for name in ("inserted", "updated", "deleted")}
    return {**counts, "log_bytes": int(status["wiredTiger"]["log"]["log bytes written"])}
