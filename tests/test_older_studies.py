"""Studies that the sources of fc4f123 made: read, gone on with, or refused."""

import json
import lzma
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bvae import versions
from sweeps import load_study
from sweeps.study.heartbeat import this_host
from tests.doubles.typed import type_in

MADE = Path(__file__).parent / "data" / "fc4f123"
RESUMED = "beta=1,latent_dim=4,seed=0"
"""The trial of the killed study that has a checkpoint, of step 20."""

Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of copies, where the killed processes have died on this machine."""
    shutil.copytree(MADE, tmp_path / "runs")
    for packed in (tmp_path / "runs").rglob("*.xz"):
        packed.with_suffix("").write_bytes(lzma.decompress(packed.read_bytes()))
        packed.unlink()
    killed = tmp_path / "runs" / "killed"
    for file in [killed / "orchestrator.json", *killed.glob("workers/*.json")]:
        change(file, place=this_host())
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


def change(file: Path, **values: object) -> None:
    """Change values of a JSON object in a file."""
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def made_by(root: Path, sources: dict[str, str], code_version: str) -> None:
    """Let a study have been made by these sources."""
    change(root / "manifest.json", sources=sources, code_version=code_version)


def recorded(name: str) -> dict[str, Any]:
    """Return the manifest of a study as it was made."""
    manifest: dict[str, Any] = json.loads((MADE / name / "manifest.json").read_text())
    return manifest


@pytest.fixture
def sweeps(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Type a command of `sweeps` in this process; returns what it prints."""

    def sweeps(*arguments: str) -> str:
        code, said = type_in("sweeps", *arguments), capsys.readouterr()
        assert 0 == code, said.err
        return said.out

    return sweeps


@pytest.fixture
def typed_again(capsys: pytest.CaptureFixture[str]) -> Typed:
    """Type the command of the killed study once more; returns exit code and messages."""

    def typed_again(*further: str) -> tuple[int, str, str]:
        _, _, _, *arguments = shlex.split(recorded("killed")["command"])
        code, said = type_in("bvae", "-m", *arguments, *further), capsys.readouterr()
        return code, said.out, said.err

    return typed_again


class TestReading:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [("finished", {"complete": 8}), ("killed", {"complete": 1, "pending": 7})],
    )
    def test_status(self, sweeps: Callable[..., str], name: str, expected: dict[str, int]) -> None:
        """The counts are those it was left with; a killed trial is pending again."""
        counts = json.loads(sweeps("status", f"runs/{name}", "--json"))

        assert 8 == counts.pop("expected")
        assert expected == {state: number for state, number in counts.items() if number}

    def test_best(self, sweeps: Callable[..., str]) -> None:
        """The best configuration has the mean of the scores in its results."""
        found = json.loads(sweeps("best", "runs/finished", "--json"))
        scores = [
            json.loads((MADE / f"finished/trials/{slug}/result.json").read_text())["scores"]["mig"]
            for slug in ("beta=1,latent_dim=4,seed=0", "beta=1,latent_dim=4,seed=1")
        ]

        assert ("mig", 0, 1, 4, 2) == (
            found["score"],
            found["left"],
            *(found["best"][key] for key in ("beta", "latent_dim", "n")),
        )
        assert sum(scores) / 2 == pytest.approx(found["best"]["mean"])
        assert [(2, 16), (4, 1)] == [
            (line["latent_dim"], line["beta"]) for line in found["by_latent_dim"]
        ]

    def test_list(self, sweeps: Callable[..., str]) -> None:
        """Both have a row, with how far they are."""
        rows = [line.split()[:2] for line in sweeps("list", "runs").splitlines()]

        assert [["finished", "8/8"], ["killed", "1/8"]] == rows[1:]

    def test_the_frame(self) -> None:
        """It has a row for each result, with the numbers of its file."""
        frame = load_study("runs/finished").frame()
        rows = {
            (row.beta, row.latent_dim, row.seed): (row.mig, row.recon, row.kl, row.active_latents)
            for row in frame.itertuples()
        }
        files = [
            json.loads(file.read_text()) for file in MADE.glob("finished/trials/*/result.json")
        ]

        assert 8 == len(rows) == len(files)
        for result in files:
            assert rows[tuple(result["point"].values())] == (
                result["scores"]["mig"],
                result["losses"]["recon"],
                result["losses"]["kl"],
                result["active_latents"],
            )

    @pytest.mark.slow
    def test_report(self, sweeps: Callable[..., str], runs: Path) -> None:
        """Page and table are written anew, with the rows that were recorded."""
        sweeps("report", "runs/finished")
        old, new = (
            (folder / "report" / "curve.csv").read_text().splitlines()
            for folder in (MADE / "finished", runs / "finished")
        )

        assert "</html>" in (runs / "finished" / "report" / "index.html").read_text()
        assert 8 < len(old)
        assert len(old) == len(new)


class TestTypedAgain:
    def test_other_sources_are_refused(self, runs: Path, typed_again: Typed) -> None:
        """With the files that differ, and what to do; nothing is trained."""
        old = {**versions.sources(), "bvae/evaluate.py": "0" * 12, "bvae/data/gone.py": "0" * 12}
        del old["bvae/model.py"]
        made_by(runs / "killed", old, "0" * 12)
        code, _, said = typed_again()

        assert 2 == code
        lines = [line.removeprefix("error: ").strip() for line in said.splitlines()]
        assert ["bvae/data/gone.py: gone", "bvae/evaluate.py: changed", "bvae/model.py: new"] == (
            [line for line in lines if line.startswith("bvae/")]
        )
        assert "study=" in lines[-1]
        assert "accept_sources=true" in lines[-1]
        assert 1 == load_study("runs/killed").counts["complete"]

    def test_these_sources(self, typed_again: Typed) -> None:
        """The study is refused for what differs among the sources that count, and for no others."""
        code, _, said = typed_again("hydra.sweeper.dry_run=true")
        then, now = recorded("killed")["sources"], versions.sources()
        differ = {
            path for path in then | now if versions.counts(path) and then.get(path) != now.get(path)
        }

        assert (2 if differ else 0) == code
        assert differ == {
            word.strip(":") for word in said.split() if word.startswith("bvae/") and ".py" in word
        }

    def test_accepted_sources(self, typed_again: Typed) -> None:
        """With accept_sources=true the study goes on with the sources of today."""
        code, _, said = typed_again("hydra.sweeper.dry_run=true", "accept_sources=true")

        assert 0 == code, said

    @pytest.mark.slow
    def test_the_killed_trial_is_resumed(self, typed_again: Typed) -> None:
        """From the step of its checkpoint; each new result says that its sources are others."""
        first = load_study("runs/killed").folder.trial("beta=1,latent_dim=2,seed=0").result
        before = first.read_bytes()
        code, _, said = typed_again("hydra/launcher=basic", "accept_sources=true")
        study = load_study("runs/killed")

        assert 0 == code, said
        assert 8 == study.counts["complete"]
        assert "from step 20" in study.folder.trial(RESUMED).log.read_text()
        assert before == first.read_bytes()
        assert {None, study.manifest.code_version} == {
            result.versions.get("sources_changed_from") for result in study.results.values()
        }
        assert study.manifest.accepts(versions.code_version())
        assert {"data.holdout": 0.0} == study.manifest.values_then
        assert {0} == {
            study.results[trial.slug].data["held_out"]["images"] for trial in study.trials[1:]
        }
