"""The notebook of docs/, executed as Jupyter does."""

import json
import os
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).resolve().parents[1] / "docs" / "notebook.ipynb"


def test_its_outputs_are_not_committed() -> None:
    """A difference between two versions of it is one of text and code."""
    cells = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]

    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Jupyter's own packages
def test_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the sweep to the traversal, in a kernel of its own; two cells show a picture each."""
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parents[1]), prepend=os.pathsep)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(
        notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()

    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    texts = [output["data"]["text/plain"] for output in outputs if "data" in output]
    assert 2 == len(pictures)
    assert any("'complete': 4" in text for text in texts)
    assert (tmp_path / "runs" / "notebook" / "report" / "index.html").exists()
