"""`laurel topics`: what Kafka holds."""

from itertools import groupby
from typing import Annotated

import typer
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it lists no __all__
    AdminClient,
    ConfigResource,
    ResourceType,
)
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from cli.positions import Watermarks, open_admin, servers_answer, watermarks
from cli.problems import CommandError
from shared.contracts.topics import TOPICS
from shared.runtime.kafka import TOPICS_TIMEOUT_SECONDS
from shared.runtime.settings import Settings

WIDE_COLUMNS = 110
"""A terminal so wide has room for what a topic holds."""


def topics(
    each_partition: Annotated[
        bool, typer.Option("--partitions", help="The offsets of each partition.")
    ] = False,
) -> None:
    """List the topics with their offsets, messages and retention, as the broker has them."""
    settings, console = Settings.from_environment(), Console()
    with servers_answer(settings):
        admin = open_admin(settings)
        marks = watermarks(admin, [settings.topic(topic.name) for topic in TOPICS])
        kept = _retentions(admin, sorted({name for name, _ in marks}))
    if not marks:
        raise CommandError(
            f"no topics of namespace {settings.namespace}; `./laurel up` makes them."
        )
    wide = console.width >= WIDE_COLUMNS
    console.print(
        _offsets_table(marks) if each_partition else _table(settings, marks, kept, wide=wide)
    )


def _retentions(admin: AdminClient, names: list[str]) -> dict[str, int]:
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    answers = admin.describe_configs(resources) if resources else {}
    return {
        resource.name: int(answer.result(TOPICS_TIMEOUT_SECONDS)["retention.ms"].value)
        for resource, answer in answers.items()
    }


def _table(
    settings: Settings,
    marks: dict[tuple[str, int], Watermarks],
    kept: dict[str, int],
    *,
    wide: bool,
) -> Table:
    table = Table("topic", title=f"Topics of {settings.namespace}", box=SIMPLE)
    for column in ("partitions", "messages", "low", "high", "kept"):
        table.add_column(column, justify="right")
    if wide:
        table.add_column("key")
        table.add_column("holds")
    for topic in TOPICS:
        name = settings.topic(topic.name)
        of_topic = [mark for (of, _), mark in marks.items() if of == name]
        if of_topic:
            table.add_row(
                topic.name,
                str(len(of_topic)),
                f"{sum(mark.high - mark.low for mark in of_topic):,}",
                f"{min(mark.low for mark in of_topic):,}",
                f"{max(mark.high for mark in of_topic):,}",
                duration(kept[name]),
                *((topic.key, topic.payload) if wide else ()),
            )
    table.caption = "low: the smallest first offset of a partition; high: the largest next one"
    return table


def _offsets_table(marks: dict[tuple[str, int], Watermarks]) -> Table:
    table = Table("topic", box=SIMPLE)
    for column in ("partition", "low", "high", "messages"):
        table.add_column(column, justify="right")
    for name, of_topic in groupby(sorted(marks.items()), key=lambda item: item[0][0]):
        for (_, partition), mark in of_topic:
            table.add_row(
                name, str(partition), f"{mark.low:,}", f"{mark.high:,}", f"{mark.high - mark.low:,}"
            )
        table.add_section()
    return table


def duration(milliseconds: int) -> str:
    """`14 days`, `1 hour`; -1 is Kafka's word for ever."""
    if milliseconds < 0:
        return "for ever"
    for unit, size in (("day", 86_400_000), ("hour", 3_600_000), ("second", 1_000)):
        if milliseconds >= size and milliseconds % size == 0:
            count = milliseconds // size
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{milliseconds} ms"
