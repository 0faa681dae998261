"""What is told of a study beside its committed tables is what these tables say."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from bvae.config import keys

REPOSITORY = Path(__file__).resolve().parents[1]
DOCS = REPOSITORY / "docs"


def script(name: str) -> ModuleType:
    """Import a script of docs/."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def draw() -> ModuleType:
    """`docs/draw.py`, which writes the rows that are shown."""
    return script("draw")


def shown(path: Path) -> list[str]:
    """Return the lines of a page."""
    return path.read_text("utf-8").splitlines()


def test_configurations_of_the_quick_study(draw: ModuleType) -> None:
    """The table of docs/quick/ is its curve.csv, row by row."""
    rows = list(draw.configurations(pd.read_csv(DOCS / "quick" / "curve.csv")))
    page = shown(DOCS / "quick" / "README.md")

    assert rows == page[page.index(rows[0]) :][: len(rows)]
    assert draw.work(pd.read_csv(DOCS / "quick" / "trials.csv")) in page


@pytest.mark.parametrize(
    "table", ["reference/trials.csv", "reference/longer.csv", "curve/trials.csv"]
)
def test_best_configurations_of_recorded_studies(draw: ModuleType, table: str) -> None:
    """Those of the pages beside the tables are what the trials say by MIG."""
    path = DOCS / table
    rows = list(draw.answers(pd.read_csv(path)))
    page = "\n".join(shown(path.with_name("README.md")))

    assert "\n".join(rows) in page


def test_configuration_keys() -> None:
    """The page is what the script prints, which tells of every key that is typed."""
    printed = "\n".join(script("keys").page()) + "\n"
    parts = ("data", "model", "trainer", "checkpoint", "tracker", "loss", "optimizer")
    inside = ("model.encoder", "model.decoder", "data.source", *(f"{part}.name" for part in parts))
    written_by_planning = ("data.content", "tracker.git_commit", "tracker.git_remote")

    assert printed == (DOCS / "configuration.md").read_text("utf-8")
    told = {key for key in keys() if f"| `{key}` |" in printed}
    assert {*keys()} - told == {*parts, *inside, *written_by_planning} & {*keys()}


def test_readme_is_short() -> None:
    """It is read on two screens."""
    assert len(shown(REPOSITORY / "README.md")) <= 100
