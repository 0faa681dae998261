"""What is told of a study beside its committed tables is what these tables say."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
DOCS = REPOSITORY / "docs"


@pytest.fixture(scope="module")
def draw() -> ModuleType:
    """`docs/draw.py`, which writes the rows that are shown."""
    spec = importlib.util.spec_from_file_location("draw", DOCS / "draw.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shown(path: Path) -> list[str]:
    """Return the lines of a page."""
    return path.read_text("utf-8").splitlines()


def test_configurations_of_the_quick_study(draw: ModuleType) -> None:
    """The table of the README is docs/quick/, row by row."""
    rows = list(draw.configurations(pd.read_csv(DOCS / "quick" / "curve.csv")))
    page = shown(REPOSITORY / "README.md")

    assert rows == page[page.index(rows[0]) :][: len(rows)]
    assert draw.work(pd.read_csv(DOCS / "quick" / "trials.csv")) in page


@pytest.mark.parametrize("table", ["trials.csv", "longer.csv"])
def test_best_configurations_of_the_reference_study(draw: ModuleType, table: str) -> None:
    """Those of docs/reference/, of one epoch and of two, are what their trials say by MIG."""
    rows = list(draw.answers(pd.read_csv(DOCS / "reference" / table)))
    page = "\n".join(shown(DOCS / "reference" / "README.md"))

    assert "\n".join(rows) in page
