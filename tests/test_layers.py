"""What may import what: the layers of the two packages, and the fences around big dependencies."""

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles.studies import make_study, write_result

REPOSITORY = Path(__file__).resolve().parents[1]

FENCES = {
    "wandb": {"bvae.tracking", "sweeps.tracking"},
    "matplotlib": set(),
    "vl_convert": {"sweeps.report"},
    "wandb_workspaces": {"sweeps.tracking.workspace"},
    "optuna": {
        "sweeps.queue",
        "sweeps.search",
        "sweeps.commands.dashboard",
        "sweeps.commands.optuna_copy",
    },
    "optuna_dashboard": {"sweeps.commands.dashboard"},
    "psycopg": {"sweeps.queue.postgres"},
    "ray": {"sweeps.workers.launchers"},
    "submitit": {"sweeps.workers.launchers"},
    "hydra": {
        "bvae.__main__",
        "bvae.parts",
        "sweeps.plan",
        "sweeps.commands",
        "sweeps.workers.launchers",
        "hydra_plugins",
    },
}
"""The modules and packages that may import each of these, anywhere in their code."""

RECORDS = {"exceptions", "files", "records", "trial", "versions", "logs"}
"""The modules of `bvae` that are records and files only."""

ANY = None

MAY_IMPORT: dict[str, tuple[set[str], set[str] | None]] = {
    "labels": ({"study", "statistics"}, ANY),
    "statistics": (set(), set()),
    "study": (set(), RECORDS),
    "search": ({"study", "statistics"}, ANY),
    "scoring": ({"study", "statistics"}, ANY),
    "queue": ({"search", "study"}, RECORDS),
    "plan": ({"queue", "search", "study", "labels"}, ANY),
    "workers": (
        {"queue", "search", "study", "labels"},
        RECORDS | {"assignment", "config", "machine", "part_sources"},
    ),
    "analysis": ({"statistics", "scoring", "study", "labels"}, ANY),
    "report": ({"analysis", "statistics", "scoring", "study", "labels"}, ANY),
    "tracking": ({"report", "analysis", "scoring", "study", "labels"}, ANY),
}
"""For each room of `sweeps`: the other rooms, and the modules of `bvae`, that it may import."""

ROOF = {"commands", "api", "__main__", "__init__"}
"""May import everything; imported by each other, `bvae.__main__` and `hydra_plugins` alone."""


def module_of(path: Path, root: Path) -> str:
    """Return the dotted name of a source file."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


@functools.cache
def sources(root: Path = REPOSITORY) -> dict[str, ast.Module]:
    """Return every module of the packages, parsed."""
    folders = [root / "bvae", root / "sweeps", root / "hydra_plugins"]
    paths = [path for folder in folders for path in folder.rglob("*.py")]
    return {module_of(path, root): ast.parse(path.read_text("utf-8")) for path in paths}


def names_in(tree: ast.Module) -> Iterator[str]:
    """Yield the dotted names a module imports, also in functions and for types.

    Of `from a import b` both a and a.b.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@functools.cache
def imported(root: Path = REPOSITORY) -> dict[str, set[str]]:
    """Return the dotted names that each module of both packages imports."""
    return {name: {*names_in(tree)} for name, tree in sources(root).items()}


def importers(package: str, root: Path = REPOSITORY) -> set[str]:
    """Return the modules that import a package, anywhere in their code."""
    return {
        name
        for name, targets in imported(root).items()
        if any(found.partition(".")[0] == package for found in targets)
    }


@functools.cache
def edges(root: Path = REPOSITORY) -> dict[str, set[str]]:
    """Return the modules of both packages that each of their modules imports, also late ones."""
    found = imported(root)
    return {name: (targets & found.keys()) - {name} for name, targets in found.items()}


def circle(root: Path = REPOSITORY) -> list[str]:
    """Return modules on circles of imports, or between two; empty if there is none.

    Packages themselves do not count: `from a import b` names the package a, and means a.b.
    """
    packages = {name.rpartition(".")[0] for name in sources(root)}
    left = {name: found - packages for name, found in edges(root).items() if name not in packages}
    while free := [name for name, found in left.items() if not found & set(left)]:
        for name in free:
            del left[name]
    return sorted(left)


def room_of(module: str) -> str:
    """Return the room of a module of `sweeps`: a package below it, or a module on its own."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def against_the_table(root: Path = REPOSITORY) -> list[str]:
    """Return the imports that the table does not allow, as "module -> module"."""
    wrong = []
    for name, targets in edges(root).items():
        for target in targets:
            if not is_allowed(name, target):
                wrong.append(f"{name} -> {target}")
    return sorted(wrong)


def is_allowed(name: str, target: str) -> bool:
    """Whether a module may import another."""
    if name.partition(".")[0] == "hydra_plugins":
        return target == "sweeps.commands.sweep"
    if name.partition(".")[0] == "bvae":
        is_entry = name == "bvae.__main__" and room_of(target) in ROOF
        return target.partition(".")[0] == "bvae" or is_entry
    room = room_of(name)
    if room in ROOF:
        return True
    rooms, records = MAY_IMPORT[room]
    if target.partition(".")[0] == "bvae":
        return records is ANY or target == "bvae" or target.split(".")[1] in records
    return target == "sweeps" or room_of(target) in {room, *rooms}


@pytest.mark.parametrize(("package", "allowed"), FENCES.items(), ids=FENCES)
def test_big_dependencies_are_fenced(package: str, allowed: set[str]) -> None:
    """Each is imported where it is needed, and nowhere else."""
    inside = tuple(f"{name}." for name in allowed)

    assert not [n for n in importers(package) if n not in allowed and not n.startswith(inside)]


def test_every_module_stands_in_a_room() -> None:
    """`sweeps` has no module that the table does not know, and no room has too many."""
    rooms = [room_of(name) for name in sources() if name.startswith("sweeps.")]

    assert set(rooms) <= set(MAY_IMPORT) | ROOF
    assert set(MAY_IMPORT) <= set(rooms)


def test_imports_follow_the_table() -> None:
    """Running and reading are two wings on one ground; `bvae` knows `sweeps` in one place."""
    assert [] == against_the_table()


def test_no_circle() -> None:
    """Modules import one way, low to high, those imported late or for types included."""
    assert [] == circle()


def test_no_class_name_stands_for_two_things() -> None:
    """Whoever reads a name in one module may look it up in another."""
    names = [
        node.name
        for tree in sources().values()
        for node in tree.body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]

    assert [] == sorted({name for name in names if names.count(name) > 1})


class TestTheChecksThemselves:
    @pytest.fixture
    def clone(self, tmp_path: Path) -> Path:
        """Two small packages with every sin."""
        files = {
            "bvae/__init__.py": "",
            "bvae/a.py": "from bvae import b",
            "bvae/b.py": "def f():\n    import sweeps.study.c",
            "bvae/d.py": "from bvae.e import x",
            "bvae/e.py": "def f():\n    import bvae.d",
            "sweeps/__init__.py": "",
            "sweeps/study/__init__.py": "",
            "sweeps/study/c.py": "if TYPE_CHECKING:\n    import wandb.sdk",
            "sweeps/study/g.py": "def f():\n    from sweeps.queue import h\n    import bvae.a",
            "sweeps/queue/__init__.py": "",
            "sweeps/queue/h.py": "from sweeps.study.study import c",
        }
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
            (tmp_path / name).write_text(text)
        return tmp_path

    def test_an_import_inside_a_function_is_seen(self, clone: Path) -> None:
        """A fence holds for lazy imports and for those of types."""
        assert "bvae.b" in importers("sweeps", clone)
        assert {"sweeps.study.c"} == importers("wandb", clone)

    def test_a_circle_is_seen(self, clone: Path) -> None:
        """Also where one of the imports waits inside a function."""
        assert ["bvae.d", "bvae.e"] == circle(clone)

    def test_an_import_against_the_table_is_seen(self, clone: Path) -> None:
        """The ground must not know a wing, nor `bvae` the sweeps, nor the ground all of `bvae`."""
        assert {
            "bvae.b -> sweeps.study.c",
            "sweeps.study.g -> bvae.a",
            "sweeps.study.g -> sweeps.queue.h",
        } <= set(against_the_table(clone))


SLOW = ("omegaconf", "PIL", "rich", "scipy.stats")
"""What takes a tenth of a second or more to load, where a command should take one second."""

READING = {
    "status": ("torch", "optuna", "hydra", "vl_convert", "wandb", "pandas"),
    "report": ("torch", "optuna", "hydra", "wandb", "pytorch_lightning"),
    "best": ("torch", "optuna", "hydra", "wandb", *SLOW),
    "compare": ("torch", "optuna", "hydra", "wandb", "pytorch_lightning"),
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
    """The folder of a finished study, with another beside it."""
    for name in ("other", "tested"):
        made = make_study(tmp_path / name)
        for trial in made.trials:
            write_result(made, trial)
    return made.folder.root


@pytest.mark.parametrize("command", READING)
def test_reading_a_study_loads_no_torch(command: str, study: Path) -> None:
    """Looking at a study is quick, on any machine."""
    assert "" == run(command, study.parent if command == "compare" else study)


def test_that_check_can_fail(study: Path) -> None:
    """What is loaded is seen."""
    assert "loaded: pandas" == run("status", study, more="import pandas")


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("hydra_plugins.bvae_sweeper", {"bvae", "sweeps", "optuna", "pandas"}),
        ("sweeps.commands.hydra_app", {"pandas", "torch"}),
    ],
)
def test_starting_is_light(module: str, unwanted: set[str]) -> None:
    """Hydra imports the plug-in at each start; only the command's end needs tables."""
    code = f"import sys, {module}\nsys.exit(', '.join({unwanted!r} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert ("", 0) == (done.stderr.strip(), done.returncode)
