import argparse
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bvae.codes import Codes
from bvae.codes import score as scored_by
from bvae.data.lattice import FactorLattice
from bvae.exceptions import ConfigError
from bvae.metrics import score
from bvae.trial import TrialResult
from sweeps import load_study
from sweeps.analysis.curve import COLUMNS
from sweeps.analysis.summary import Summary
from sweeps.commands import rescore
from sweeps.commands.rescore import requested, rescored_manifest
from sweeps.scoring import rescoring
from sweeps.scoring.rescoring import Computed, Job
from sweeps.study.heartbeat import HeartbeatWriter
from sweeps.study.manifest import Manifest
from sweeps.study.study import Study
from sweeps.workers.orchestrator import running
from sweeps.workers.processes import descendants, kill
from tests.doubles.processes import wait_for
from tests.doubles.shells import alive
from tests.doubles.studies import (
    CONFIGURATION,
    SEARCH,
    make_study,
    manifest,
    trials,
    write_result,
)

LATTICE = FactorLattice(("shape", "scale", "orientation", "x", "y"), (3, 2, 3, 2, 2))


def codes_of(seed: int) -> Codes:
    """Codes of five latents: the factors, mixed a little and noisy, as they are stored."""
    rng = np.random.default_rng(seed)
    factors = LATTICE.factors(np.arange(len(LATTICE)))
    mixing = np.eye(5) + 0.3 * rng.standard_normal((5, 5))
    mu = (factors - factors.mean(axis=0)) @ mixing + rng.standard_normal(factors.shape)
    logvar = np.broadcast_to([-3.0, -2.0, -1.0, -3.0, 0.0], mu.shape)
    arrays = [array.astype(np.float16).astype(np.float32) for array in (mu, logvar)]
    return Codes(arrays[0], arrays[1], np.arange(len(mu)), LATTICE)


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two trials are complete, as a worker leaves them; one has failed, one waits."""
    root = tmp_path_factory.mktemp("scored") / "tested"
    listed = trials(seed=(1, 2))
    made = make_study(root, listed, lattice=LATTICE.name, base={"protocol": "fast"})
    for trial in made.trials[:2]:
        seed = int(str(trial.values["seed"]))
        codes = codes_of(seed)
        scored = scored_by(codes, protocol="fast", seed=seed)
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
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Score in this process, others take seconds to start, and by fewer trees."""
    monkeypatch.setattr(rescore, "cpus", lambda: 1.0)
    monkeypatch.setattr("bvae.metrics.dci._N_ROUNDS", 2)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """The jobs that are done: every score is .5."""
    done: list[Job] = []

    def instantly(job: Job) -> Computed:
        done.append(job)
        scores = dict.fromkeys(job.only or (), 0.5)
        return Computed(scores, {"wall_time_s": 1.0, "missing": {}, "scores": {}})

    monkeypatch.setattr(rescoring, "compute", instantly)
    return done


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


def without_others(study: Study) -> dict[str, str]:
    """Return the same as it stands without the scores of other protocols."""
    found = {}
    for path, text in snapshot(study).items():
        content = json.loads(text)
        kept = {
            name: {} if name in ("other_scores", "other_scoring") else value
            for name, value in content.items()
        }
        found[path] = text if kept == content else json.dumps(kept, indent=2, ensure_ascii=False)
    return found


def snapshot(study: Study) -> dict[str, str]:
    """Return every result and the manifest as they stand on disk."""
    paths = [*sorted(study.folder.trials.glob("*/result.json")), study.folder.manifest]
    return {str(path): path.read_text() for path in paths}


class TestOtherProtocol:
    def test_its_scores_stand_beside_the_studys_own(
        self, study: Study, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """They are those of the codes, with the seed of the trial; nothing else is written."""
        before = snapshot(study)
        assert 0 == run(study, "protocol=kim2018")

        codes = codes_of(1)
        expected = score(codes.mu, codes.factors, logvar=codes.logvar, protocol="kim2018", seed=1)
        added = load_study(study.folder.root).results["beta=4,latent_dim=5,seed=1"]
        assert expected == added.other_scores["kim2018"]
        assert study.results["beta=4,latent_dim=5,seed=1"].scores["mig"] == expected["mig"]
        assert {*expected} == {*added.other_scoring["kim2018"]["scores"]}
        assert "kim2018" == added.other_scoring["kim2018"]["protocol"]
        assert before == without_others(study)
        said = capsys.readouterr()
        assert "2 of 4 trials have scores of kim2018" in said.err
        assert ["score", "best β", "latents", "mean (95 % interval)", "curve"] == re.split(
            "  +", said.out.splitlines()[0]
        )
        assert {"mig", "beta_vae", "dci_disentanglement"} <= set(said.out.split())
        assert "_sampled" not in said.out

    def test_their_curve_is_a_file_of_its_own(self, study: Study) -> None:
        """It has the columns of curve.csv, and is that of the study by the other protocol."""
        run(study, "protocol=kim2018")
        kept = pd.read_csv(study.folder.curve_by("kim2018"))

        assert [*COLUMNS] == [*kept.columns]
        assert {"kim2018"} == {*kept["protocol"]}
        again = load_study(study.folder.root)
        pd.testing.assert_frame_equal(kept, again.by("kim2018").curve(), check_dtype=False)
        assert {"fast"} == {*again.curve()["protocol"]}
        assert not study.folder.page.exists()

    def test_what_is_scored_is_not_scored_again(self, study: Study, counted: list[Job]) -> None:
        """All but DCI of every trial comes first, then DCI; typed again, nothing is left to do."""
        run(study, "protocol=kim2018")
        assert ["beta_vae", "beta_vae", "dci_disentanglement", "dci_disentanglement"] == [
            (job.only or ("",))[0] for job in counted
        ]
        run(study, "protocol=kim2018")
        assert 4 == len(counted)

    def test_other_sources_score_again(
        self, study: Study, counted: list[Job], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A number of changed code is no number of the old one."""
        run(study, "protocol=kim2018")
        monkeypatch.setattr(rescore, "code_version", lambda _: "changed")
        run(study, "protocol=kim2018")

        assert 8 == len(counted)
        result = load_study(study.folder.root).results[counted[0].slug]
        assert "changed" == result.other_scoring["kim2018"]["code"]
        assert {"beta_vae", "dci_disentanglement"} <= {*result.other_scores["kim2018"]}

    def test_one_protocol_leaves_another_alone(self, study: Study, counted: list[Job]) -> None:
        """A study may have the scores of several."""
        run(study, "protocol=kim2018")
        assert counted
        before = load_study(study.folder.root).results["beta=4,latent_dim=5,seed=1"]
        run(study, "protocol=locatello2019")
        after = load_study(study.folder.root).results["beta=4,latent_dim=5,seed=1"]

        assert {"kim2018", "locatello2019"} == {*after.other_scores}
        assert before.other_scores["kim2018"] == after.other_scores["kim2018"]

    def test_interrupted_it_continues(
        self, study: Study, counted: list[Job], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What was scored before Ctrl-C is kept; the rest follows when the command is typed."""

        def interrupted(job: Job) -> Computed:
            if counted:
                raise KeyboardInterrupt
            return compute(job)

        compute = rescoring.compute
        with monkeypatch.context() as patch:
            patch.setattr(rescoring, "compute", interrupted)
            assert 130 == run(study, "protocol=kim2018")
        assert 1 == len(counted)
        assert 0 == run(study, "protocol=kim2018")
        assert 4 == len(counted)

    def test_a_study_that_is_run(self, study: Study, counted: list[Job]) -> None:
        """Neither the command that runs it nor its workers are in the way."""
        worker = HeartbeatWriter(study.folder.workers / "one.json", name="one")
        with running(study.folder), worker:
            assert 0 == run(study, "protocol=kim2018")
        assert 4 == len(counted)

    def test_a_result_that_comes_meanwhile(
        self, study: Study, counted: list[Job], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is of other codes: the scores of the earlier ones are not written into it."""
        compute = rescoring.compute

        def committed(job: Job) -> Computed:
            if not counted:
                write_result(study, study.trials[0], scores={"mig": 0.75}, steps=2000)
            return compute(job)

        monkeypatch.setattr(rescoring, "compute", committed)
        run(study, "protocol=kim2018")
        first, second, *_ = load_study(study.folder.root).results.values()
        assert ({"mig": 0.75}, {}) == (first.scores, first.other_scores)
        assert {"kim2018"} == {*second.other_scores}

    def test_trials_without_codes_are_named(
        self, study: Study, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The others are scored; the exit code says that some are not."""
        study.folder.trial(study.trials[0].slug).codes.unlink()
        assert 1 == run(study, "protocol=kim2018")

        said = capsys.readouterr().err
        assert "1 of 4 trials have scores of kim2018" in said
        assert 1 == said.count(f"{study.trials[0].slug}/codes.npz: expected the codes")
        assert not study.folder.curve_by("fast").exists()

    def test_no_trial_can_be_scored(self, study: Study, capsys: pytest.CaptureFixture[str]) -> None:
        """There is no curve then, and nothing of it to print."""
        for trial in study.trials[:2]:
            study.folder.trial(trial.slug).codes.unlink()
        assert 1 == run(study, "protocol=kim2018")

        assert "" == capsys.readouterr().out
        assert not study.folder.curve_by("kim2018").exists()

    @pytest.mark.slow
    @pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
    def test_a_signal_ends_its_processes(
        self, tmp_path: Path, number: signal.Signals, expected: int
    ) -> None:
        """None of them works on, whether it ends the command cleanly or kills it."""
        (tmp_path / "mine.py").write_text(
            "import os, pathlib, time\n"
            "def late(codes, factors):\n"
            "    pathlib.Path(__file__).with_name(f'late-{os.getpid()}').touch()\n"
            "    time.sleep(600)\n"
        )
        scores = {"late": {"_target_": "mine.late"}}
        made = make_study(
            tmp_path / "tested",
            lattice=LATTICE.name,
            compositions={"": CONFIGURATION | {"scores": scores}},
            parts_folder=str(tmp_path),
        )
        for trial in made.trials:
            write_result(made, trial)
            codes_of(0).write(made.folder.trial(trial.slug).codes)
        code = (
            "from sweeps.commands import rescore\n"
            "from sweeps.__main__ import main\n"
            "rescore.cpus = lambda: 2.0\n"
            f"main(['rescore', {str(made.folder.root)!r}, 'protocol=kim2018'])"
        )
        command = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
        wait_for(lambda: len([*tmp_path.glob("late-*")]) == 2, seconds=120)
        started = descendants(command.pid)
        os.killpg(command.pid, number) if number is signal.SIGINT else command.send_signal(number)

        try:
            assert expected == command.wait(timeout=60)
            wait_for(lambda: not alive(started), seconds=60)
        finally:
            kill(alive([command.pid, *started]))


class TestOwnProtocol:
    def test_the_same_protocol_changes_no_number(
        self, study: Study, capsys: pytest.CaptureFixture[str]
    ) -> None:
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
        assert "scored anew by fast: 2 trials, no score has changed" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("before", "said"),
        [
            ({"mig": 0.0}, "1 score changed, at most by"),
            ({"mig": None}, "1 score changed, new ones among them (mig of"),
        ],
    )
    def test_what_changes_is_said(
        self,
        study: Study,
        before: dict[str, float | None],
        said: str,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """After a change of the sources one wants to know how much it did."""
        first = study.trials[0]
        old = study.results[first.slug]
        scores = {
            name: value for name, value in {**old.scores, **before}.items() if value is not None
        }
        replace(old, scores=scores).write(study.folder.trial(first.slug).result)
        run(study, "protocol=fast")

        assert f"2 trials, {said}" in capsys.readouterr().err
        assert old.scores == load_study(study.folder.root).results[first.slug].scores

    def test_tables_and_report_are_written_anew(self, study: Study) -> None:
        """trials.csv and the report are of the new scores."""
        run(study, "objective=sap")
        rows = study.folder.table.read_text().splitlines()

        assert "sap" in rows[0]
        assert 5 == len(rows)
        assert "fast" == study.folder.page.read_text()

    def test_failed_trials_stay_as_they_are(self, study: Study) -> None:
        """A trial without codes has no scores."""
        slug = study.trials[2].slug
        path = study.folder.trial(slug).result
        before = path.read_text()
        run(study, "objective=sap")
        assert before == path.read_text()

    def test_added_scores_stay(self, study: Study) -> None:
        """They are of another protocol."""
        run(study, "protocol=kim2018")
        before = load_study(study.folder.root).results
        run(study, "protocol=fast")
        after = load_study(study.folder.root).results
        assert [one.other_scores for one in before.values()] == [
            one.other_scores for one in after.values()
        ]

    def test_a_killed_rescore_is_repeated(
        self, study: Study, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Killed between two results, the manifest is the old one; typed again, all is new."""
        written: list[Path] = []
        write = TrialResult.write

        def write_one(self: TrialResult, path: Path) -> None:
            if written:
                raise KeyboardInterrupt
            written.append(path)
            write(self, path)

        with monkeypatch.context() as patch:
            patch.setattr(TrialResult, "write", write_one)
            assert 130 == run(study, "objective=sap")
        assert "mig" == load_study(study.folder.root).manifest.objective

        run(study, "objective=sap")
        assert "sap" == load_study(study.folder.root).manifest.objective


class TestRefuses:
    def test_while_the_study_is_run(self, study: Study) -> None:
        """The command that runs the study would score by the old protocol."""
        before = snapshot(study)
        with running(study.folder), pytest.raises(ConfigError, match="is being run already"):
            run(study, "protocol=fast")
        assert before == snapshot(study)

    def test_while_a_worker_works(self, study: Study) -> None:
        """Workers may be there without the command that runs the study."""
        before = snapshot(study)
        worker = HeartbeatWriter(study.folder.workers / "one.json", name="one")
        with worker, pytest.raises(ConfigError, match=r"one at work; .*`sweeps stop`"):
            run(study, "protocol=fast")
        assert before == snapshot(study)

    def test_a_worker_that_comes_while_scores_are_computed(
        self, study: Study, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nothing has been written yet, and nothing is."""
        before = snapshot(study)
        worker = HeartbeatWriter(study.folder.workers / "late.json", name="late")
        compute = rescoring.compute

        def come(job: Job) -> Computed:
            if not (study.folder.workers / "late.json").exists():
                worker.__enter__()
            return compute(job)

        monkeypatch.setattr(rescoring, "compute", come)
        with pytest.raises(ConfigError, match="late at work"):
            run(study, "protocol=fast")
        worker.__exit__(None, None, None)
        assert before == snapshot(study)

    def test_a_worker_that_has_come_and_gone(
        self, study: Study, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What it has done may be by the old sources, or not in the manifest that was read."""
        compute = rescoring.compute

        def change(job: Job) -> Computed:
            write_result(study, study.trials[3])
            return compute(job)

        monkeypatch.setattr(rescoring, "compute", change)
        with pytest.raises(ConfigError, match=f"{study.name}: it has changed"):
            run(study, "objective=sap")
        assert "mig" == load_study(study.folder.root).manifest.objective

    def test_missing_codes_and_another_lattice(self, study: Study) -> None:
        """All that is wrong is said at once, and nothing is written."""
        first, second = (study.folder.trial(trial.slug).codes for trial in study.trials[:2])
        first.unlink()
        other = FactorLattice(LATTICE.names, (3, 2, 2, 2, 3))
        replace(codes_of(0), labels=other).write(second)
        before = snapshot(study)

        with pytest.raises(ConfigError, match="they cannot be read") as caught:
            run(study, "protocol=fast")
        lines = str(caught.value).splitlines()
        assert 2 == len(lines)
        assert "codes of the lattice 3x2x2x2x3, but the study's is 3x2x3x2x2" in lines[1]
        assert before == snapshot(study)


class TestRequested:
    def test_the_objective_is_the_studys(self) -> None:
        """Whether another protocol has it or not: the study goes by its own."""
        study = manifest(trials(), protocol="kim2018", objective="dci_completeness")
        wanted = requested(["protocol=fast"], study)
        assert ("fast", "dci_completeness") == (wanted.protocol, wanted.objective)

    def test_another_protocols_scores_are_not_maximised(self) -> None:
        """The study's answer stays that of its own protocol."""
        with pytest.raises(ConfigError, match="goes by its own protocol, fast; leave it out"):
            requested(["protocol=kim2018", "objective=sap"], manifest(trials()))

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

    def test_a_swept_protocol(self) -> None:
        """A study of several protocols cannot be made one of another."""
        with pytest.raises(ConfigError, match="protocol is swept"):
            requested(["protocol=fast"], manifest(trials(), axes=["protocol"]))


class TestManifest:
    @staticmethod
    def rescored(command: str, objective: str) -> Manifest:
        """Return the manifest of a study begun by a command, after a rescore."""
        begun = manifest(trials(), arguments=shlex.split(command)[1:])
        return rescored_manifest(begun, objective)

    def test_trials_still_to_run_maximise_it(self) -> None:
        """Their configuration has the new objective, as has the study."""
        found = self.rescored("bvae -m beta=1,4", "sap")
        assert ("sap", "sap") == (found.config_of(trials()[0])["objective"], found.objective)

    @pytest.mark.parametrize(
        ("command", "objective", "expected"),
        [
            ("bvae -m beta=1,4", "sap", "bvae -m beta=1,4 objective=sap"),
            ("bvae -m objective=mig beta=1", "sap", "bvae -m beta=1 objective=sap"),
            ("bvae -m objective=mig seed=1", "mig", "bvae -m objective=mig seed=1"),
        ],
    )
    def test_the_command_to_go_on_with(self, command: str, objective: str, expected: str) -> None:
        """The command that began the study would be refused now: it names the new objective."""
        assert expected == self.rescored(command, objective).command


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
