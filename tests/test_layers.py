"""What may import what: the layers of the two packages, and the fences around big dependencies."""

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from studies import make_study, write_result

REPOSITORY = Path(__file__).resolve().parents[1]

FENCES = {
    "wandb": {"bvae.tracking"},
    "matplotlib": {"sweeps.report.charts", "sweeps.report.paper"},
    "wandb_workspaces": {"sweeps.workspace"},
    "optuna": {
        "sweeps.attempts",
        "sweeps.dashboard",
        "sweeps.database",
        "sweeps.journal",
        "sweeps.ledger",
        "sweeps.pruning",
        "sweeps.samplers",
    },
    "optuna_dashboard": {"sweeps.dashboard"},
    "psycopg": {"sweeps.database"},
    "ray": {"sweeps.launchers"},
    "submitit": {"sweeps.launchers"},
    "hydra": {"bvae.__main__", "sweeps.overrides", "sweeps.sweeper"},
    "hydra_plugins": {"sweeps.sweeper"},
}
"""The modules that may import each of these, anywhere in their code."""


def module_of(path: Path, root: Path) -> str:
    """Return the dotted name of a source file."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


@functools.cache
def sources(root: Path = REPOSITORY) -> dict[str, ast.Module]:
    """Return every module of both packages, parsed."""
    paths = [*(root / "bvae").rglob("*.py"), *(root / "sweeps").rglob("*.py")]
    return {module_of(path, root): ast.parse(path.read_text("utf-8")) for path in paths}


def nodes(tree: ast.AST, *, lazy: bool) -> Iterator[ast.AST]:
    """Walk a module; unless `lazy`, leave out what does not run when it is imported."""
    for node in ast.iter_child_nodes(tree):
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        is_for_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if lazy or not (is_function or is_for_types):
            yield node
            yield from nodes(node, lazy=lazy)


def imported(tree: ast.Module, *, lazy: bool) -> Iterator[str]:
    """Return the dotted names a module imports; of `from a import b` both a and a.b."""
    for node in nodes(tree, lazy=lazy):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def importers(package: str, root: Path = REPOSITORY) -> set[str]:
    """Return the modules that import a package, anywhere in their code."""
    return {
        name
        for name, tree in sources(root).items()
        if any(found.partition(".")[0] == package for found in imported(tree, lazy=True))
    }


def cycle(root: Path = REPOSITORY) -> list[str]:
    """Return modules that import each other in a circle as they are loaded; empty if none do."""
    trees = sources(root)
    edges = {
        name: {found for found in imported(tree, lazy=False) if found in trees and found != name}
        for name, tree in trees.items()
    }
    left = dict(edges)
    while free := [name for name, found in left.items() if not found & set(left)]:
        for name in free:
            del left[name]
    return sorted(left)


@pytest.mark.parametrize(("package", "allowed"), FENCES.items(), ids=FENCES)
def test_big_dependencies_are_fenced(package: str, allowed: set[str]) -> None:
    """Each is imported where it is needed, and nowhere else."""
    assert allowed == importers(package)


def test_one_run_knows_nothing_of_many() -> None:
    """`bvae` never imports `sweeps`, but for its application."""
    inside = {name for name in importers("sweeps") if name.partition(".")[0] == "bvae"}

    assert {"bvae.__main__"} == inside


def test_no_cycle() -> None:
    """Modules import one way, low to high."""
    assert [] == cycle()


class TestTheChecksThemselves:
    @pytest.fixture
    def clone(self, tmp_path: Path) -> Path:
        """Two small packages with every sin."""
        files = {
            "bvae/__init__.py": "",
            "bvae/a.py": "from bvae import b",
            "bvae/b.py": "def f():\n    import sweeps.c",
            "bvae/d.py": "from bvae.e import x",
            "bvae/e.py": "class E:\n    import bvae.d",
            "sweeps/__init__.py": "",
            "sweeps/c.py": "if TYPE_CHECKING:\n    import wandb.sdk\nfrom sweeps import g",
            "sweeps/g.py": "def f():\n    import sweeps.c",
        }
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)
        return tmp_path

    def test_an_import_inside_a_function_is_seen(self, clone: Path) -> None:
        """A fence holds for lazy imports and for those of types."""
        assert {"bvae.b", "sweeps.g"} == importers("sweeps", clone) - {"sweeps.c"}
        assert {"sweeps.c"} == importers("wandb", clone)

    def test_a_cycle_is_seen(self, clone: Path) -> None:
        """But not where one of the imports waits inside a function."""
        assert ["bvae.d", "bvae.e"] == cycle(clone)


READING = {
    "status": ("torch", "optuna", "hydra", "matplotlib", "wandb", "pandas"),
    "report": ("torch", "optuna", "hydra", "wandb", "pytorch_lightning"),
    "best": ("torch", "optuna", "hydra", "matplotlib", "wandb"),
}
"""Commands that only read, and what they do not load."""

RUN = """
import sys
sys.argv = ["sweeps", {command!r}, {folder!r}]
from sweeps.__main__ import main
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
    {more}
loaded = [name for name in {unwanted!r} if name in sys.modules]
sys.exit("loaded: " + ", ".join(loaded) if loaded else 0)
"""


def run(command: str, folder: Path, more: str = "pass") -> str:
    """Run a reading command in a fresh interpreter; return what it should not have loaded."""
    code = RUN.format(command=command, folder=str(folder), unwanted=READING[command], more=more)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.stderr.strip()


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """The folder of a finished study."""
    made = make_study(tmp_path / "tested")
    for point in made.points:
        write_result(made, point)
    return made.folder.root


@pytest.mark.parametrize("command", READING)
def test_reading_a_study_loads_no_torch(command: str, study: Path) -> None:
    """Looking at a study is quick, on any machine."""
    assert "" == run(command, study)


def test_that_check_can_fail(study: Path) -> None:
    """What is loaded is seen."""
    assert "loaded: torch" == run("status", study, more="import torch")


def test_a_worker_loads_no_pandas() -> None:
    """Every worker imports the sweeper, through Hydra; only the command's end needs tables."""
    code = "import sys, sweeps.sweeper; sys.exit('pandas' in sys.modules or 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=False)

    assert 0 == done.returncode
