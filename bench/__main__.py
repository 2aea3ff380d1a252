"""`python -m bench`: measures, prints a table, writes `bench/out/pipeline.json`."""

import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench import ground, page, results, stages, table
from bench import soak as soaking
from bench.options import QUICK, Options
from bench.problems import BenchError
from bench.profiling import Profiler
from cli.problems import CommandError
from deploy.local.problems import StackError

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
WIDTH = 150
"""Of the output where it goes into a file."""
STAGES = tuple(key for group in stages.GROUPS for key in group.keys)
PROFILED = {
    "customers": "pipeline_full",
    "cards": "pipeline_full",
    "gateway": "gateway_single",
    "query": "latency",
}
"""Under which load a service is profiled that is no stage by itself."""


@app.callback(invoke_without_command=True)
def bench(
    context: typer.Context,
    *,
    only: Annotated[str, typer.Option(help=f"Of {', '.join(STAGES)}, with commas.")] = "",
    events: Annotated[
        int | None, typer.Option(min=1, help="Of a drain; the others in proportion.")
    ] = None,
    customers: Annotated[int | None, typer.Option(min=1, max=90_000)] = None,
    repeat: Annotated[int, typer.Option(min=1, help="The median counts.")] = 1,
    quick: Annotated[bool, typer.Option("--quick", help="Whether it works; no figures.")] = False,
    cache_gb: Annotated[float | None, typer.Option(min=0.25, help="mongod's cache.")] = None,
    profile: Annotated[str, typer.Option(help="A flame graph of this service, by py-spy.")] = "",
    out: Annotated[Path, typer.Option(help="Where the figures go.")] = results.PIPELINE,
) -> None:
    """Measure Laurel on this machine, on a Kafka and a mongod of the bench's own."""
    if context.invoked_subcommand:
        return
    usual = QUICK if quick else Options()
    options = replace(
        usual.of(events) if events else usual,
        customers=customers or usual.customers,
        cache_gb=cache_gb or usual.cache_gb,
        repeat=repeat,
    )
    wanted = _wanted(only or (profile and PROFILED.get(profile, profile)))
    measure(options, wanted, Profiler(profile, out.parent), out)


def measure(options: Options, wanted: tuple[str, ...], profiler: Profiler, out: Path) -> None:
    """Measures what is wanted, shows it, writes it to `out`."""
    console = _console()
    with _opened(options, console) as opened:
        findings = stages.run(opened, stages.GROUPS, wanted, profiler, console.print)
        found = results.result(findings.runs, results.settings_of(opened))
    results.write(found, out)
    table.show(found, console)
    console.print(f"written: {out}")
    if findings.failed:
        raise BenchError(f"not measured: {'; '.join(findings.failed)}; see above")


def _wanted(only: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in only.split(",") if name.strip())
    if unknown := [name for name in names if name not in STAGES]:
        raise typer.BadParameter(f"no stage {', '.join(unknown)}; there are {', '.join(STAGES)}")
    return names or STAGES


@app.command()
def soak(
    *,
    minutes: Annotated[float, typer.Option(min=0.02)] = Options().soak_minutes,
    rate: Annotated[int, typer.Option(min=10, help="Events per second.")] = Options().soak_rate,
    out: Annotated[Path, typer.Option(help="Where the samples go.")] = results.SOAK,
) -> None:
    """Load the whole stack for minutes: is the memory of each process flat?"""
    console = _console()
    options = replace(soaking.options_of(Options()), soak_minutes=minutes, soak_rate=rate)
    with _opened(options, console) as opened:
        console.print(f"{minutes:g} minutes at {rate:,} events/s …")
        found = soaking.run(opened)
        found["settings"] = results.settings_of(opened)
    results.write(found, out)
    table.show_soak(found, console)
    console.print(f"written: {out}")
    raise typer.Exit(1 if soaking.not_flat(found) else 0)


@app.command(name="page")
def write_page() -> None:
    """Write docs/benchmarks.md from bench/out/pipeline.json, and from bench/out/soak.json."""
    found = results.read(results.PIPELINE)
    if found is None:
        raise BenchError(f"there is no {results.PIPELINE}; run `make bench` first")
    page.PAGE.write_text(page.text(found, results.read(results.SOAK)), encoding="utf-8")
    _console().print(f"written: {page.PAGE}")


@contextmanager
def _opened(options: Options, console: Console) -> Iterator[ground.Ground]:
    with tempfile.TemporaryDirectory(prefix="laurel-bench-") as folder:
        console.print("Kafka and mongod …")
        with ground.opened(options, Path(folder)) as opened:
            yield opened


def _console() -> Console:
    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)


def main() -> None:
    """What can be mended is one sentence on stderr, and code 1."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # with the folder removed, as by Ctrl-C
    try:
        app(prog_name="python -m bench")
    except (BenchError, CommandError, StackError) as error:
        sys.exit(f"bench: {error}")


if __name__ == "__main__":
    main()
