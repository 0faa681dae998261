"""Both entries find the configuration, from a clone and from a wheel installed elsewhere."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content, installed in a folder outside the clone."""
    folder = tmp_path_factory.mktemp("wheel")
    clone = Path(__file__).resolve().parents[1]
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", folder, clone], check=True, cwd=folder)
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(entry: list[str], *arguments: str, cwd: Path, site: Path | None = None) -> str:
    """Run an entry and return what it prints; PYTHONPATH goes before the editable install."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(cwd), "PYTHONPATH": str(site or "")}
    done = subprocess.run(
        [*entry, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout


SCRIPT = (
    "import sys, importlib.metadata as m;"
    "entries = m.entry_points(group='console_scripts', name='{name}');"
    "sys.argv[0] = '{name}';"
    "next(iter(entries)).load()()"
)
ENTRIES = {
    "python -m bvae": [sys.executable, "-m", "bvae"],
    "bvae": [sys.executable, "-c", SCRIPT.format(name="bvae")],
}


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_clone_uses_its_own_conf(entry: list[str], tmp_path: Path, repository: Path) -> None:
    """From an editable install the clone's conf/ is read, whatever folder one stands in."""
    printed = run(entry, "--info", "searchpath", cwd=tmp_path)

    assert str(repository / "conf") in printed


@pytest.mark.slow
@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_wheel_uses_its_copy(entry: list[str], tmp_path: Path, wheel: Path) -> None:
    """From a wheel outside the clone, the copy it carries is read, and composes."""
    searched = run(entry, "--info", "searchpath", cwd=tmp_path, site=wheel)
    composed = run(entry, "--cfg", "job", "experiment=quick", cwd=tmp_path, site=wheel)

    assert str(wheel / "bvae" / "conf") in searched
    assert "study: quick" in composed


@pytest.mark.slow
def test_wheel_has_what_it_needs(wheel: Path) -> None:
    """The wheel carries every configuration file, the report's page and Hydra's plug-in."""
    clone = Path(__file__).resolve().parents[1]
    expected = {path.relative_to(clone / "conf") for path in (clone / "conf").rglob("*.yaml")}
    carried = {
        path.relative_to(wheel / "bvae" / "conf") for path in (wheel / "bvae/conf").rglob("*.yaml")
    }

    assert expected == carried
    templates = {path.name for path in (clone / "sweeps/report/html").iterdir()}
    assert templates == {path.name for path in (wheel / "sweeps/report/html").iterdir()}
    assert "page.html" in templates
    # without an `__init__.py`, which would hide the launchers' packages
    assert ["bvae_sweeper.py"] == [path.name for path in (wheel / "hydra_plugins").glob("*.py")]
