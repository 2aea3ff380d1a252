"""`docs/benchmarks.md`, made from what the bench wrote: method, figures, how to repeat."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.problems import BenchError
from bench.results import LATENCIES, RATES
from bench.table import NAMES, QUIET_CORES, RATIO_NAMES
from deploy.local.servers import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
WORDS = ROOT / "bench" / "page.md"
"""What no run changes; the marks are where its figures go."""
FIGURES, DETAILS = "<!-- figures -->\n", "<!-- details -->\n"
Found = Mapping[str, Any]


def text(found: Found, soak: Found | None) -> str:
    """The page. Raises `BenchError` where the run was not of everything, or was a quick one."""
    missing = [key for key in (*RATES, *LATENCIES) if found.get(key) is None]
    if missing:
        raise BenchError(f"not measured: {', '.join(missing)}; run `make bench` first")
    if found["settings"]["quick"]:
        raise BenchError("a quick run says nothing of speed; run `make bench` first")
    details = [_details(found), _memory(found), *([_soak(soak)] if soak else []), _settings(found)]
    words = WORDS.read_text(encoding="utf-8").replace(FIGURES, _figures(found))
    return words.replace(DETAILS, "\n".join(details))


def _figures(found: Found) -> str:
    rows = [[NAMES[key], f"{found[key]:,} events/s", _range(found["stages"][key])] for key in RATES]
    latency = found["stages"]["latency"]
    rows.append(
        [
            f"event to visible balance, at {latency['events'] / latency['seconds']:.0f} events/s",
            f"p50 {found['latency_p50_ms']} ms, p99 {found['latency_p99_ms']} ms",
            f"{latency['watched']} watched",
        ]
    )
    ratios = [[words, f"{found['ratios'][name]:.2f}"] for name, words in RATIO_NAMES.items()]
    settings = found["settings"]
    where = f"{settings['cpu_count']} cores ({settings['cpu']}), {settings['memory_gb']} GB"
    return "\n".join(
        [
            "## Figures",
            "",
            f"On {where}, at commit `{settings['commit']}`, {settings['measured_at']}.",
            *_not_quiet(found),
            "",
            _table(["what", "rate", "of"], rows),
            "",
            _table(["ratio in the same run", ""], ratios),
            "\n",
        ]
    )


def _not_quiet(found: Found) -> list[str]:
    busy = {
        NAMES[key]: stage["others_cores"]
        for key, stage in found["stages"].items()
        if stage["others_cores"] > QUIET_CORES
    }
    if not busy:
        return []
    cores = ", ".join(f"{name} {value}" for name, value in busy.items())
    return ["", f"**The machine was not quiet**; cores that other programs took: {cores}."]


def _details(found: Found) -> str:
    header = ["stage", "CPU µs per event", "of which", "documents per event", "bytes in the log"]
    rows = []
    for key, name in NAMES.items():
        stage = found["stages"][key]
        each = ", ".join(
            f"{process} {usage['cpu_microseconds_per_event']:.0f}"
            for process, usage in stage["processes"].items()
        )
        rows.append(
            [
                name,
                f"{stage['cpu_microseconds_per_event']:.0f}",
                each,
                f"{stage['documents_per_event']:.2f}",
                f"{stage['log_bytes_per_event']:,}",
            ]
        )
    title = "## CPU and writes\n\nBytes in the log: of mongod's write-ahead log, compressed.\n\n"
    return title + _table(header, rows) + "\n"


def _memory(found: Found) -> str:
    rows = []
    for key in ("pipeline", "pipeline_full", "latency"):
        for process, usage in found["stages"][key]["processes"].items():
            sizes = [f"{usage[f'rss_{moment}_mb']:,} MB" for moment in ("start", "end")]
            rows.append([NAMES[key], process, *sizes])
    header = ["stage", "process", "at its start", "at its end"]
    return "## Resident memory\n\n" + _table(header, rows) + "\n"


def _soak(soak: Found) -> str:
    rows = [
        [
            name,
            f"{each['first_mb']:,.0f} MB",
            f"{each['last_mb']:,.0f} MB",
            f"{each['grows_mb_in_ten_minutes']:+.1f} MB",
            ("flat" if each["flat"] else "grows") if each["judged"] else "bounded by its settings",
        ]
        for name, each in soak["processes"].items()
    ]
    rate = soak["events"] / soak["seconds"]
    return (
        f"## Memory over {soak['seconds'] / 60:.0f} minutes at {rate:,.0f} events/s\n\n"
        f"At commit `{soak['settings']['commit']}`. The growth is the slope over the last two "
        "thirds, in ten minutes.\n\n"
        + _table(["process", "first", "last", "growth", ""], rows)
        + "\n"
    )


def _settings(found: Found) -> str:
    rows = [[f"`{name}`", f"{value}"] for name, value in found["settings"].items()]
    return "## Settings of the run\n\n" + _table(["setting", "value"], rows) + "\n"


def _range(stage: Found) -> str:
    rates = stage["rates"]
    runs = f"; {len(rates)} runs, {min(rates):,} to {max(rates):,}" if len(rates) > 1 else ""
    load = stage.get("generator_cores")
    generator = "" if load is None else f"; the load took {load} cores"
    return f"{stage['events']:,} events{runs}{generator}"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
