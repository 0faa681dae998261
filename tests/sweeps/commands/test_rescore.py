import argparse
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from bvae import evaluate
from bvae.data.lattice import FactorLattice
from bvae.exceptions import ConfigError
from bvae.metrics import score
from bvae.trial import TrialResult
from sweeps import load_study
from sweeps.analysis.summary import Summary
from sweeps.commands import rescore
from sweeps.commands.rescore import requested, rescored_manifest
from sweeps.report import page
from sweeps.study.heartbeat import HeartbeatWriter
from sweeps.study.manifest import Manifest
from sweeps.study.study import Study
from sweeps.workers.orchestrator import running
from tests.doubles.studies import SEARCH, make_study, manifest, trials, write_result

LATTICE = FactorLattice(("shape", "scale", "orientation", "x", "y"), (3, 2, 3, 2, 2))


def codes_of(seed: int) -> evaluate.Codes:
    """Codes of five latents: the factors, mixed a little and noisy, as they are stored."""
    rng = np.random.default_rng(seed)
    factors = LATTICE.factors(np.arange(len(LATTICE)))
    mixing = np.eye(5) + 0.3 * rng.standard_normal((5, 5))
    mu = (factors - factors.mean(axis=0)) @ mixing + rng.standard_normal(factors.shape)
    logvar = np.broadcast_to([-3.0, -2.0, -1.0, -3.0, 0.0], mu.shape)
    arrays = [array.astype(np.float16).astype(np.float32) for array in (mu, logvar)]
    return evaluate.Codes(arrays[0], arrays[1], np.arange(len(mu)), LATTICE)


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two trials are complete, as a worker leaves them; one has failed, one waits."""
    root = tmp_path_factory.mktemp("scored") / "tested"
    listed = trials(seed=(1, 2))
    made = make_study(root, listed, lattice=LATTICE.name, base={"protocol": "fast"})
    for trial in made.trials[:2]:
        seed = int(str(trial.values["seed"]))
        codes = codes_of(seed)
        scored = evaluate.score(codes, protocol="fast", seed=seed)
        write_result(made, trial, scores=scored.values, scoring=scored.details)
        codes.write(made.folder.trial(trial.slug).codes)
    write_result(made, made.trials[2], state="failed", attempt=3, scores={}, error="no luck")
    return root


@pytest.fixture
def study(scored: Path, tmp_path: Path) -> Study:
    """A copy of that study."""
    loaded = load_study(shutil.copytree(scored, tmp_path / "tested"))
    assert 3 == len(loaded.results)  # read before anything changes them
    return loaded


@pytest.fixture(autouse=True)
def _no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Note that the report is written, by a file."""

    def draw(read: Summary) -> Path:
        path = read.study.folder.page
        path.parent.mkdir(exist_ok=True)
        path.write_text(read.study.manifest.protocol)
        return path

    monkeypatch.setattr("sweeps.report.page.write_report", draw)


def run(study: Study, *settings: str) -> int:
    """Run `sweeps rescore DIR …`."""
    parser = argparse.ArgumentParser()
    rescore.add_arguments(parser)
    return rescore.run(parser.parse_args([str(study.folder.root), *settings]))


def snapshot(study: Study) -> dict[str, str]:
    """Return every result and the manifest as they stand on disk."""
    paths = [*sorted(study.folder.trials.glob("*/result.json")), study.folder.manifest]
    return {str(path): path.read_text() for path in paths}


class TestRun:
    def test_the_same_protocol_changes_no_number(self, study: Study) -> None:
        """Codes are stored as they were scored: everything but times comes out the same."""
        run(study, "protocol=fast")
        again = load_study(study.folder.root)

        assert study.results.keys() == again.results.keys()
        for slug, old in study.results.items():
            new = again.results[slug]
            assert old.scores == new.scores
            assert replace(old, scoring={}) == replace(new, scoring={})
            timed = {"wall_time_s", "code"}
            assert {k: v for k, v in old.scoring.items() if k not in timed} == {
                k: v for k, v in new.scoring.items() if k not in timed
            }
        assert study.manifest == again.manifest

    @pytest.mark.slow
    def test_another_protocol(self, study: Study, capsys: pytest.CaptureFixture[str]) -> None:
        """Scores are those of the codes by the new protocol, with the seed of the trial."""
        assert 0 == run(study, "protocol=kim2018")
        again = load_study(study.folder.root)
        codes = codes_of(1)
        slug = "beta=4,latent_dim=5,seed=1"
        expected = score(codes.mu, codes.factors, logvar=codes.logvar, protocol="kim2018", seed=1)

        assert expected == again.results[slug].scores
        assert "kim2018" == again.results[slug].scoring["protocol"]
        assert "kim2018" == again.manifest.protocol
        assert study.results[slug].scores["mig"] == expected["mig"]  # exact in every protocol
        assert study.results[slug].scores["beta_vae"] != expected["beta_vae"]
        said = capsys.readouterr().err
        assert {"2", "kim2018;", "mig"} <= set(said.split())

    @pytest.mark.slow
    def test_tables_and_report_are_written_anew(self, study: Study) -> None:
        """trials.csv and the report are of the new scores."""
        run(study, "protocol=kim2018", "objective=dci_disentanglement")
        rows = study.folder.table.read_text().splitlines()

        assert "dci_disentanglement" in rows[0]
        assert 5 == len(rows)
        assert "kim2018" == (study.folder.report / "index.html").read_text()
        assert "kim2018" == OmegaConf.load(study.folder.base)["protocol"]

    @pytest.mark.slow
    def test_those_of_a_finished_study_have_the_new_scores(
        self, study: Study, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where nothing is left to run, too."""
        replace(study.manifest, trials=study.manifest.trials[:2]).write(study.folder.manifest)
        drawn: list[Study] = []
        write = page.write_report
        monkeypatch.setattr(
            page, "write_report", lambda read: drawn.append(read.study) or write(read)
        )
        run(study, "protocol=kim2018")

        (found,) = drawn
        assert "kim2018" == found.manifest.protocol
        assert {"kim2018"} == {one.scoring["protocol"] for one in found.results.values()}

    def test_failed_trials_stay_as_they_are(self, study: Study) -> None:
        """A trial without codes has no scores."""
        slug = study.trials[2].slug
        path = study.folder.trial(slug).result
        before = path.read_text()
        run(study, "objective=sap")
        assert before == path.read_text()

    @pytest.mark.slow
    def test_a_killed_rescore_is_repeated(
        self, study: Study, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Killed between two results, the manifest is the old one; typed again, all is new."""
        written: list[Path] = []
        write = TrialResult.write

        def write_one(self: TrialResult, path: Path) -> None:
            if written:
                raise KeyboardInterrupt("killed")
            written.append(path)
            write(self, path)

        with monkeypatch.context() as patch:
            patch.setattr(TrialResult, "write", write_one)
            with pytest.raises(KeyboardInterrupt, match="killed"):
                run(study, "protocol=kim2018")
        half = load_study(study.folder.root)
        protocols = [result.scoring.get("protocol") for result in half.results.values()]
        assert ["kim2018", "fast", None] == protocols
        assert "fast" == half.manifest.protocol

        run(study, "protocol=kim2018")
        again = load_study(study.folder.root)
        complete = [result for result in again.results.values() if result.state == "complete"]
        assert {"kim2018"} == {result.scoring["protocol"] for result in complete}
        assert "kim2018" == again.manifest.protocol


class TestRefuses:
    def test_while_the_study_is_run(self, study: Study) -> None:
        """The command that runs the study would score by the old protocol."""
        before = snapshot(study)
        with running(study.folder), pytest.raises(ConfigError, match="is being run already"):
            run(study, "protocol=kim2018")
        assert before == snapshot(study)

    def test_while_a_worker_works(self, study: Study) -> None:
        """Workers may be there without the command that runs the study."""
        before = snapshot(study)
        worker = HeartbeatWriter(study.folder.workers / "one.json", name="one")
        with worker, pytest.raises(ConfigError, match=r"one at work; .*`sweeps stop`"):
            run(study, "protocol=kim2018")
        assert before == snapshot(study)

    def test_a_worker_that_comes_while_scores_are_computed(
        self, study: Study, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nothing has been written yet, and nothing is."""
        before = snapshot(study)
        worker = HeartbeatWriter(study.folder.workers / "late.json", name="late")
        scored = rescore.rescored

        def come(*arguments: object, **further: object) -> TrialResult:
            if not (study.folder.workers / "late.json").exists():
                worker.__enter__()
            return scored(*arguments, **further)  # type: ignore[arg-type]

        monkeypatch.setattr(rescore, "rescored", come)
        with pytest.raises(ConfigError, match="late at work"):
            run(study, "protocol=fast")
        worker.__exit__(None, None, None)
        assert before == snapshot(study)

    @pytest.mark.slow
    def test_a_worker_that_has_come_and_gone(
        self, study: Study, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What it has done is by the old protocol, or not in the manifest that was read."""
        scored = rescore.rescored

        def change(*arguments: object, **further: object) -> TrialResult:
            write_result(study, study.trials[3])
            return scored(*arguments, **further)  # type: ignore[arg-type]

        monkeypatch.setattr(rescore, "rescored", change)
        with pytest.raises(ConfigError, match=f"{study.name}: it has changed"):
            run(study, "protocol=kim2018")
        assert "fast" == load_study(study.folder.root).manifest.protocol

    def test_missing_codes_and_another_lattice(self, study: Study) -> None:
        """All that is wrong is said at once, and nothing is written."""
        first, second = (study.folder.trial(trial.slug).codes for trial in study.trials[:2])
        first.unlink()
        other = FactorLattice(LATTICE.names, (3, 2, 2, 2, 3))
        replace(codes_of(0), labels=other).write(second)
        before = snapshot(study)

        with pytest.raises(ConfigError, match="they cannot be read") as caught:
            run(study, "protocol=kim2018")
        lines = str(caught.value).splitlines()
        assert 2 == len(lines)
        assert "codes of the lattice 3x2x2x2x3, but the study's is 3x2x3x2x2" in lines[1]
        assert before == snapshot(study)

    @pytest.mark.parametrize("content", [b"", b"no codes"])
    def test_damaged_codes(self, study: Study, content: bytes) -> None:
        """They are named; no traceback comes from NumPy."""
        study.folder.trial(study.trials[0].slug).codes.write_bytes(content)
        with pytest.raises(ConfigError, match=r"seed=1/codes.npz: .* they cannot be read"):
            run(study, "protocol=kim2018")

    def test_images_without_factors(self, study: Study) -> None:
        """They have no scores that need factors."""
        codes = study.folder.trial(study.trials[0].slug).codes
        replace(codes_of(0), labels=None).write(codes)
        with pytest.raises(ConfigError, match="without factors"):
            run(study, "protocol=kim2018")


class TestRequested:
    def test_the_objective_is_kept(self) -> None:
        """It stays where the new protocol has it."""
        wanted = requested(["protocol=kim2018"], manifest(trials()))
        assert ("kim2018", "mig") == (wanted.protocol, wanted.objective)

    def test_another_objective(self) -> None:
        """Readings of a score are scores, too."""
        wanted = requested(["objective=sap_active"], manifest(trials()))
        assert ("fast", "sap_active") == (wanted.protocol, wanted.objective)

    def test_udr_has_every_protocol(self) -> None:
        """It compares codes, whatever they are scored by."""
        assert "udr" == requested(["objective=udr"], manifest(trials())).objective

    def test_a_search_cannot_go_by_udr(self) -> None:
        """As it cannot be begun with it."""
        searched = manifest(trials(), search=SEARCH)
        with pytest.raises(ConfigError, match="`sweeps best --score`"):
            requested(["objective=udr"], searched)

    @pytest.mark.parametrize(
        ("settings", "match"),
        [
            (["protocol=quick"], "Expected a protocol among .*kim2018.* got 'quick'"),
            (["objective=migg"], "not a score of protocol fast; give objective=…, did you mean"),
            (
                ["protocol=fast", "objective=dci_disentanglement"],
                "objective=dci_disentanglement: not a score of protocol fast",
            ),
            (["beta=4"], "beta: expected protocol=NAME or objective=NAME"),
            (["protocol"], "protocol: expected protocol=NAME"),
            (["protocol="], "protocol: expected protocol=NAME"),
        ],
    )
    def test_mistakes(self, settings: list[str], match: str) -> None:
        """What could be typed is said."""
        with pytest.raises(ConfigError, match=match):
            requested(settings, manifest(trials()))

    def test_an_objective_the_new_protocol_lacks(self) -> None:
        """It is not replaced silently."""
        study = manifest(trials(), protocol="kim2018", objective="dci_completeness")
        with pytest.raises(ConfigError, match="dci_completeness: not a score of protocol fast"):
            requested(["protocol=fast"], study)

    def test_a_swept_protocol(self) -> None:
        """A study of several protocols cannot be made one of another."""
        with pytest.raises(ConfigError, match="protocol is swept"):
            requested(["protocol=fast"], manifest(trials(), axes=["protocol"]))


class TestManifest:
    @staticmethod
    def rescored(command: str, *settings: str) -> Manifest:
        """Return the manifest of a study begun by a command, after a rescore."""
        arguments = shlex.split(command)[1:]
        begun = manifest(trials(), arguments=arguments, base={"threads": 1, "protocol": "fast"})
        return rescored_manifest(begun, requested(settings, begun))

    def test_trials_still_to_run_are_scored_alike(self) -> None:
        """Their configuration has the new protocol, as has the study's identity."""
        found = self.rescored("bvae -m beta=1,4", "protocol=kim2018", "objective=sap")
        configuration = found.config_of(trials()[0])

        assert ("kim2018", "sap") == (configuration["protocol"], configuration["objective"])
        assert {"threads": 1, "protocol": "kim2018"} == found.base
        assert ("kim2018", "sap") == (found.protocol, found.objective)

    @pytest.mark.parametrize(
        ("command", "settings", "expected"),
        [
            ("bvae -m beta=1,4", ["protocol=kim2018"], "bvae -m beta=1,4 protocol=kim2018"),
            (
                "bvae -m protocol=fast 'seed=range(0, 3)'",
                ["protocol=kim2018", "objective=sap"],
                "bvae -m 'seed=range(0, 3)' protocol=kim2018 objective=sap",
            ),
            ("bvae -m protocol=fast seed=1", ["protocol=fast"], "bvae -m protocol=fast seed=1"),
        ],
    )
    def test_the_command_to_go_on_with(
        self, command: str, settings: list[str], expected: str
    ) -> None:
        """The command that began the study would be refused now: it names the new settings."""
        assert expected == self.rescored(command, *settings).command


def test_the_parser_needs_no_torch() -> None:
    """A subcommand that only reads is built beside these and must stay quick."""
    modules = (
        "commands.rescore",
        "commands.traverse",
        "commands.baselines",
        "analysis.sensitivity",
    )
    slow = "torch", "sklearn", "lightgbm", "optuna", "matplotlib"
    code = (
        "import importlib, sys\n"
        f"for name in {modules}:\n"
        "    importlib.import_module('sweeps.' + name)\n"
        f"    print(*((name, slow) for slow in {slow} if slow in sys.modules), end='')"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "" == ran.stdout
