"""The page for integrators tells every problem code as the contract has it."""

import re
from pathlib import Path

from shared.contracts.problems import KINDS, Kind

PAGE = Path(__file__).resolve().parents[2] / "docs" / "integrating.md"
ROW = re.compile(r"^\| `(\w+)` \| (\d{3}) \| (.+?) \| (yes|no) \| (.+) \|$", re.MULTILINE)


def test_the_table_has_every_code_with_status_meaning_and_what_to_do() -> None:
    rows = ROW.findall(PAGE.read_text(encoding="utf-8"))
    told = {
        code: Kind(int(status), means, later == "yes") for code, status, means, later, _ in rows
    }
    assert told == KINDS
    assert [code for code, *_ in rows] == list(KINDS), "in the contract's order"
    assert all(len(do) > 10 for *_, do in rows)


def test_a_code_that_is_never_sent_says_so() -> None:
    rows = ROW.findall(PAGE.read_text(encoding="utf-8"))
    root = PAGE.parents[1]
    paths = [*(root / "services").rglob("*.py"), *(root / "shared/runtime").rglob("*.py")]
    code = "".join(path.read_text(encoding="utf-8") for path in paths)
    code += (root / "shared/contracts/standing.py").read_text(encoding="utf-8")
    sent = {name for name in KINDS if f'"{name}"' in code}
    assert {name for name, *_, do in rows if do.endswith("(not built yet)")} == KINDS.keys() - sent
