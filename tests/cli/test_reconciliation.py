"""The second opinion: its own sums and rounding, and that it shares nothing with the first."""

import ast
import sys
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest

from cli import reconciliation
from cli.reconciliation import Difference, Holding, Reconciliation, compare, expected, summary


@pytest.mark.parametrize(
    ("cents", "points"),
    [(0, 0), (499, 0), (500, 1), (501, 1), (1499, 1), (1500, 2), (2500, 3), (96_149, 96)],
)
def test_a_tenth_of_the_money_is_rounded_half_up(cents: int, points: int) -> None:
    assert reconciliation.points_of(cents) == points


def test_rounding_agrees_with_decimal_arithmetic() -> None:
    for cents in range(0, 20_000, 7):
        exact = Decimal(cents) / 100 / 10
        assert reconciliation.points_of(cents) == exact.quantize(Decimal(1), ROUND_HALF_UP)


@pytest.mark.parametrize(
    ("baskets", "points", "with_baskets"),
    [(20_000, 58_532, 2_110), (155_848, 457_299, 2_469)],
)
def test_what_the_data_file_says(baskets: int, points: int, with_baskets: int) -> None:
    holdings = expected(baskets)
    assert len(holdings) == 2_469
    assert sum(holding.checkouts for holding in holdings.values()) == baskets
    assert sum(holding.score for holding in holdings.values()) == points
    assert sum(holding.checkouts > 0 for holding in holdings.values()) == with_baskets
    assert all(holding.score == holding.spendable for holding in holdings.values())


@pytest.mark.parametrize(
    ("found", "figures"),
    [
        pytest.param(Holding(12, 12, checkouts=2), [], id="equal"),
        pytest.param(Holding(13, 12, checkouts=2), ["score"], id="one point more"),
        pytest.param(Holding(12, 2, spent=10, checkouts=2), ["spendable", "spent"], id="spent"),
        pytest.param(Holding(12, 12, checkouts=3), ["checkouts"], id="a checkout twice"),
        pytest.param(Holding(), ["score", "spendable", "checkouts"], id="nothing there"),
        pytest.param(None, ["the customer"], id="nobody there"),
    ],
)
def test_each_figure_that_differs_is_told(found: Holding | None, figures: list[str]) -> None:
    wanted = Holding(12, 12, checkouts=2)
    assert [one.figure for one in compare("household-1", wanted, found)] == figures


def test_a_difference_reads_as_a_sentence() -> None:
    difference = Difference("household-1", "score", 12, 13)
    assert str(difference) == "household-1: score is 13, the data says 12"


@pytest.mark.parametrize(
    ("differences", "words"), [(0, "0 differences"), (1, "1 difference:"), (2, "2 differences")]
)
def test_the_summary_begins_with_the_number_of_differences(differences: int, words: str) -> None:
    one = Difference("household-1", "score", 12, 13)
    assert summary(Reconciliation(2_469, 20_000, 58_532, [one] * differences)).startswith(words)


def test_it_imports_nothing_but_the_standard_library_and_polars() -> None:
    tree = ast.parse(Path(reconciliation.__file__).read_text(encoding="utf-8"))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported - sys.stdlib_module_names == {"polars"}
