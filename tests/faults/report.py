"""The report: one section a scenario, what was done and what was seen, as Markdown."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

DIFFERENCES_SHOWN = 20


@dataclass
class Section:
    """What one scenario did and saw. `differences` is what the test asserts to be empty."""

    title: str
    did: str
    facts: dict[str, object] = field(default_factory=dict)
    """Single figures, by what they are."""
    tables: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        figures = [f"- {name}: {value}" for name, value in self.facts.items()]
        count = len(self.differences)
        wrong = [f"- {difference}" for difference in self.differences[:DIFFERENCES_SHOWN]]
        verdict = "\n".join([f"**{count} differences**", "", *wrong]).rstrip()
        parts = [f"## {self.title}", self.did, "\n".join(figures), *self.tables, verdict]
        return "\n\n".join(part for part in parts if part) + "\n"


def table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def seconds(values: Sequence[float]) -> str:
    """Times in words: the middle one, and the longest."""
    if not values:
        return "none seen"
    middle = f"{median(values):.1f} s"
    return middle if len(values) == 1 else f"{middle}, at most {max(values):.1f} s"


@dataclass
class Report:
    """All sections of a run; the file is whole after each of them."""

    path: Path
    sections: list[Section] = field(default_factory=list)

    def add(self, section: Section) -> None:
        """Shows a section and writes the file anew; how busy the machine was belongs to it."""
        busy, cores = os.getloadavg()[1], os.cpu_count()
        section.facts["load of the machine"] = f"{busy:.1f} over five minutes, {cores} processors"
        self.sections.append(section)
        print(f"\n{section}")
        head = (
            "# The spine under fire\n\nTimes are what was seen in this run; nothing asserts them.\n"
        )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text("\n".join([head, *map(str, self.sections)]), encoding="utf-8")
