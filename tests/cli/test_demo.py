"""What a demo sends and compares after earlier runs, and the numbers on its page."""

from io import StringIO

import pytest
from rich.console import Console

from cli.bookmark import Bookmark
from cli.demo import Baskets, baskets_there, default_baskets
from cli.demo_page import Results, page
from cli.probes import Latency, percentile
from cli.program import WANTED, fits
from cli.reconciliation import Difference, Reconciliation
from cli.shopping import BASKETS, HOUSEHOLDS
from cli.tally import Tally
from shared.runtime.settings import Settings


@pytest.mark.parametrize(
    ("mark", "wanted", "baskets"),
    [
        pytest.param(Bookmark(), 20_000, Baskets(20_000, 20_000), id="first run"),
        pytest.param(
            Bookmark(sent=HOUSEHOLDS + 20_000, promised=HOUSEHOLDS + 20_000),
            20_000,
            Baskets(20_000, 20_000),
            id="second run",
        ),
        pytest.param(
            Bookmark(sent=HOUSEHOLDS + BASKETS, promised=HOUSEHOLDS + BASKETS),
            20_000,
            Baskets(20_000, BASKETS),
            id="all were loaded before",
        ),
        pytest.param(
            Bookmark(sent=HOUSEHOLDS + 41_000, promised=HOUSEHOLDS + 45_000),
            20_000,
            Baskets(45_000, 45_000),
            id="a longer run was stopped half way",
        ),
        pytest.param(
            Bookmark(sent=100, promised=2_000), 1_000, Baskets(1_000, 1_000), id="stopped early"
        ),
        pytest.param(
            Bookmark(sent=HOUSEHOLDS + 20_000, promised=HOUSEHOLDS + 20_000),
            BASKETS,
            Baskets(BASKETS, BASKETS),
            id="all after a part",
        ),
    ],
)
def test_what_is_sent_and_compared(mark: Bookmark, wanted: int, baskets: Baskets) -> None:
    assert baskets_there(mark, wanted) == baskets


@pytest.mark.parametrize(
    ("ci", "baskets"), [("", 20_000), ("false", 20_000), ("true", 1_000), ("1", 1_000)]
)
def test_a_check_streams_fewer_baskets(ci: str, baskets: int) -> None:
    assert default_baskets(ci) == baskets


@pytest.mark.parametrize(
    ("percent", "value"), [(50, 50.0), (99, 99.0), (100, 100.0), (1, 1.0), (0, 1.0)]
)
def test_a_percentile_is_a_value_that_was_seen(percent: int, value: float) -> None:
    assert percentile([float(number) for number in range(100, 0, -1)], percent) == value


@pytest.mark.parametrize(
    ("found", "same"),
    [
        pytest.param(WANTED | {"status": "active", "version": 3}, True, id="more is said"),
        pytest.param(WANTED | {"earn": WANTED["earn"] | {"percent": "10.00"}}, True, id="as text"),
        pytest.param(WANTED | {"earn": WANTED["earn"] | {"percent": 8}}, False, id="other rate"),
        pytest.param(WANTED | {"earn": None}, False, id="no rule"),
        pytest.param(WANTED | {"init_on_opt_in": False}, False, id="other flag"),
        pytest.param({}, False, id="nothing"),
    ],
)
def test_an_account_that_fits_is_left_alone(found: object, same: bool) -> None:
    assert fits(WANTED, found) is same


def _printed(differences: list[Difference]) -> str:
    results = Results(
        settings=Settings(),
        tally=Tally(accepted=20_000, repeats=2_469),
        seconds=4.0,
        latency=Latency(15.2, 37.4, 200),
        top=[{"id": "household-[1]", "score": 1_000, "spendable": 900}],
        reconciliation=Reconciliation(2_469, 20_000, 58_532, differences),
    )
    console = Console(file=StringIO(), width=110)
    console.print(page(results))
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def test_the_page_tells_speed_leaders_and_proof() -> None:
    printed = _printed([])
    for words in ("5,617", "15 ms p50, 37 ms p99", "household-[1]", "0 differences", "8082/docs"):
        assert words in printed


def test_the_page_lists_differences_and_how_many_more_there_are() -> None:
    many = [Difference(f"household-{number}", "score", 1, 2) for number in range(30)]
    printed = _printed(many)
    assert "30 differences" in printed
    assert "household-3: score is 2, the data says 1" in printed
    assert "and 10 more" in printed
