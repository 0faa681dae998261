import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bvae.exceptions import ConfigError
from sweeps import __main__ as entry
from sweeps import load_study
from sweeps.commands import commands
from sweeps.queue.queue import Queue
from sweeps.study.heartbeat import HeartbeatWriter, WorkerRegistry
from sweeps.study.study import Study
from sweeps.workers.exit_codes import Exit
from tests.doubles.studies import make_study, slugs, trials, write_result

Type = Callable[..., str]


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Three cells of two seeds: β = 1 complete, β = 16 half complete and half failed."""
    made = make_study(tmp_path / "runs" / "tested", trials(beta=[1, 4, 16]))
    for slug, score in (("beta=1,latent_dim=5,seed=0", 0.2), ("beta=1,latent_dim=5,seed=1", 0.3)):
        trial = next(trial for trial in made.trials if trial.slug == slug)
        write_result(made, trial, scores={"mig": score, "beta_vae": 0.9})
    write_result(made, made.trials[1], scores={"mig": 0.9, "beta_vae": 0.1})
    failed = next(
        trial for trial in made.trials if trial.values == {**made.trials[1].values, "seed": 1}
    )
    write_result(
        made, failed, state="failed", attempt=3, error="ValueError: no\nTraceback", scores={}
    )
    return load_study(made.folder.root)


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str]) -> Type:
    """Run a subcommand that must succeed; returns what it prints."""

    def typed(*arguments: str | Path, code: int = 0) -> str:
        parsed = entry.parser().parse_args([str(argument) for argument in arguments])
        assert code == parsed.run(parsed)
        return capsys.readouterr().out

    return typed


class TestStatus:
    def test_counts_and_failures(self, study: Study, typed: Type) -> None:
        """How far it is, what failed and why, and how to go on."""
        said = typed("status", study.folder.root)

        assert said.startswith("tested: 6 trials: 3 complete, 1 failed, 2 pending\n")
        assert "  failed beta=16,latent_dim=5,seed=1: ValueError: no\n" in said
        assert "not running; go on with: bvae -m beta=1,4" in said

    def test_numbers_for_programs(self, study: Study, typed: Type) -> None:
        """One JSON object whose states sum to what is expected."""
        found = json.loads(typed("status", study.folder.root, "--json"))

        assert study.counts == found
        assert found.pop("expected") == sum(found.values())

    def test_who_is_at_what(self, study: Study, typed: Type) -> None:
        """Each worker with its step; an idle one is said to be idle."""
        slug = "beta=4,latent_dim=5,seed=0"
        with (
            HeartbeatWriter(study.folder.workers / "a.json", name="worker-a") as busy,
            HeartbeatWriter(study.folder.workers / "b.json", name="worker-b"),
        ):
            busy.report(slug, step=300, total=2000)
            said = typed("status", study.folder.root)

        assert f"  worker-a: {slug}  step 300 of 2000\n" in said
        assert "  worker-b: idle\n" in said
        assert "1 running, 1 pending" in said

    def test_time_left_while_it_runs(self, study: Study, typed: Type) -> None:
        """Two trials of 2 s by one worker; unknown before anyone is at work."""
        with HeartbeatWriter(study.folder.orchestrator, name="orchestrator"):
            assert typed("status", study.folder.root).endswith("\nrunning\n")
            with HeartbeatWriter(study.folder.workers / "a.json", name="worker-a") as worker:
                worker.report(study.trials[2].slug, step=0, total=2000)

                assert "about 0:04 left" in typed("status", study.folder.root)

    def test_a_finished_study_has_nothing_left_to_say(self, study: Study, typed: Type) -> None:
        """Neither a time nor a command."""
        for trial in study.trials:
            write_result(study, trial)

        assert "tested: 6 trials: 6 complete\n" == typed("status", study.folder.root)


class TestBest:
    def test_which_beta(self, study: Study, typed: Type) -> None:
        """β = 16 has a better seed, but another that failed."""
        said = typed("best", study.folder.root)

        assert said.startswith("2 trainings are left: the best so far\n* beta=1 latent_dim=5  mig ")

    def test_by_another_score_as_numbers(self, study: Study, typed: Type) -> None:
        """Valid JSON: what is unknown is null."""
        found = json.loads(
            typed("best", study.folder.root, "--score", "beta_vae", "--json"),
            parse_constant=pytest.fail,
        )

        assert "beta_vae" == found["score"]
        assert (1, 5) == (found["best"]["beta"], found["best"]["latent_dim"])
        assert [found["best"]] == found["by_latent_dim"]

    def test_an_unknown_score(self, study: Study, typed: Type) -> None:
        """The message names those there are."""
        with pytest.raises(ConfigError, match=r"--score sap: no such score.*it has mig, beta_vae"):
            typed("best", study.folder.root, "--score", "sap")

    def test_before_anything_has_ended(self, tmp_path: Path, typed: Type) -> None:
        """It is said, with code 0; a score that is typed must be there."""
        folder = make_study(tmp_path / "new").folder.root

        assert "no best cell: no trial has the score mig yet\n" == typed("best", folder)
        assert json.loads(typed("best", folder, "--json"))["best"] is None
        with pytest.raises(ConfigError, match="--score sap: no such score"):
            typed("best", folder, "--score", "sap")


class TestLogs:
    def test_log_and_error(self, study: Study, typed: Type) -> None:
        """What the trial wrote, then why it failed, traceback and all."""
        folder = study.folder.trial("beta=16,latent_dim=5,seed=1")
        folder.log.write_text("step 1\n")

        assert "step 1\n\nValueError: no\nTraceback\n" == typed(
            "logs", study.folder.root, "beta=16,latent_dim=5,seed=1"
        )

    def test_a_part_of_the_name_is_enough(self, study: Study, typed: Type) -> None:
        """As long as one trial has it."""
        assert "(no log yet)\n" == typed("logs", study.folder.root, "beta=4,latent_dim=5,seed=0")

    def test_a_whole_name_beats_a_longer_one(self, tmp_path: Path, typed: Type) -> None:
        """seed=1 is a part of seed=10."""
        made = make_study(tmp_path / "tested", trials(beta=[1], seed=[1, 10]))
        made.folder.trial("beta=1,latent_dim=5,seed=1").root.mkdir(parents=True)
        made.folder.trial("beta=1,latent_dim=5,seed=1").log.write_text("one")

        assert "one\n" == typed("logs", made.folder.root, "beta=1,latent_dim=5,seed=1")

    @pytest.mark.parametrize(("name", "number"), [("beta=1", 4), ("beta=2", 0)])
    def test_too_little_or_nothing(self, study: Study, typed: Type, name: str, number: int) -> None:
        """Candidates are listed."""
        with pytest.raises(ConfigError, match=f"{name}: names {number} trials"):
            typed("logs", study.folder.root, name)


class TestStop:
    def test_the_note_is_left(self, study: Study, typed: Type) -> None:
        """Every worker, on any machine, finds it."""
        with HeartbeatWriter(study.folder.workers / "a.json", name="a"):
            assert typed("stop", study.folder.root).startswith("1 worker(s) will save")

        assert study.folder.stop.exists()


class TestRetry:
    def test_failed_trials_are_queued_again(self, study: Study, typed: Type) -> None:
        """With what to type next."""
        said = typed("retry", study.folder.root)

        assert "1 failed trial(s) queued again; go on with: bvae -m beta=1,4\n" == said
        assert "0 failed trial(s) queued again\n" == typed("retry", study.folder.root)
        assert "pending" == load_study(study.folder.root).states["beta=16,latent_dim=5,seed=1"]

    @pytest.mark.parametrize(
        ("where", "number"),
        [
            (["beta=16.0"], 1),
            (["beta=16", "seed=1"], 1),
            (["beta=16", "seed=0"], 0),
            (["beta=4"], 0),
            (["beta=x"], 0),
        ],
    )
    def test_only_some(self, study: Study, typed: Type, where: list[str], number: int) -> None:
        """All conditions must hold; 16.0 is 16."""
        options = [text for condition in where for text in ("--where", condition)]

        assert typed("retry", study.folder.root, *options).startswith(f"{number} failed trial(s)")

    @pytest.mark.parametrize("where", ["beta", "lr=1"])
    def test_a_condition_that_is_none(self, study: Study, typed: Type, where: str) -> None:
        """The message names the keys there are."""
        with pytest.raises(ConfigError, match="a key of beta, latent_dim, seed"):
            typed("retry", study.folder.root, "--where", where)


class TestWorker:
    def test_it_works_until_nothing_is_left(self, study: Study, typed: Type) -> None:
        """Whether or not a command runs the study."""
        said = typed("worker", study.folder.root)

        assert "works on tested; Ctrl-C saves the running trial and stops" in said
        assert (5, 1) == tuple(
            load_study(study.folder.root).counts[name] for name in ("complete", "failed")
        )
        assert 1 == len(list(study.folder.logs.glob("worker-*.log")))

    def test_the_stop_of_an_ended_command_is_forgotten(self, study: Study, typed: Type) -> None:
        """A stopped study can be gone on with by a worker alone."""
        study.folder.stop.touch()
        typed("worker", study.folder.root)

        assert 0 == load_study(study.folder.root).counts["pending"]

    def test_that_of_a_running_one_holds(self, study: Study, typed: Type) -> None:
        """Who attaches to a sweep that is being stopped leaves with the others."""
        study.folder.stop.touch()
        with HeartbeatWriter(study.folder.orchestrator, name="orchestrator"):
            typed("worker", study.folder.root)

        assert 2 == load_study(study.folder.root).counts["pending"]

    def test_a_signal_ends_it_with_its_code(
        self, study: Study, typed: Type, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """130, as for the command that runs the study."""
        monkeypatch.setattr(
            "sweeps.workers.worker.Worker.work", lambda self: self._stop_request.set_signalled()
        )

        typed("worker", study.folder.root, code=Exit.INTERRUPTED)


class TestList:
    def test_a_row_for_each_study(self, study: Study, typed: Type) -> None:
        """Counts and when it was begun."""
        lines = typed("list", study.folder.root.parent).splitlines()

        assert ["study", "complete", "failed", "left", "created"] == lines[0].split()
        assert ["tested", "3/6", "1", "2", "2026-01-01T00:00:00+00:00"] == lines[1].split()

    def test_one_that_cannot_be_read_hides_no_other(self, study: Study, typed: Type) -> None:
        """It says so in its row."""
        (study.folder.root.parent / "broken").mkdir()
        (study.folder.root.parent / "broken" / "manifest.json").write_text("{")

        said = typed("list", study.folder.root.parent)

        assert "broken" in said
        assert "3/6" in said

    def test_none(self, tmp_path: Path, typed: Type) -> None:
        """An empty folder has none."""
        assert f"no study in {tmp_path}\n" == typed("list", tmp_path)

    def test_a_folder_that_is_not_there(self, tmp_path: Path, typed: Type) -> None:
        """It is refused, with what to give."""
        with pytest.raises(ConfigError, match="no such folder; give one that holds studies"):
            typed("list", tmp_path / "nowhere")


def test_a_report_is_written_anew(
    study: Study, typed: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the results as they stand; the table of trials, too."""
    page = study.folder.report / "index.html"
    asked: list[bool] = []

    def write_report(_: Study, *, embed_all: bool) -> Path:
        asked.append(embed_all)
        return page

    monkeypatch.setattr("sweeps.report.page.write_report", write_report)

    assert f"{page}\n" == typed("report", study.folder.root)
    assert f"{page}\n" == typed("report", study.folder.root, "--embed-all")
    assert [False, True] == asked
    assert 7 == len(study.folder.table.read_text().splitlines())


def test_two_studies_are_put_side_by_side(study: Study, typed: Type) -> None:
    """`sweeps report A B` writes a page about both, in the folder of the second."""
    printed = typed("report", study.folder.root, study.folder.root)

    page = study.folder.report / f"against-{study.name}.html"
    assert str(page) in printed
    assert page.stat().st_size > 0


def test_reading_commands_change_nothing(study: Study, typed: Type) -> None:
    """They may be typed while the study runs, by anyone."""
    Queue(study).reconcile(WorkerRegistry(study.folder.workers))
    before = {path: path.stat().st_mtime_ns for path in study.folder.root.rglob("*")}
    for command in ("status", "best"):
        typed(command, study.folder.root)
    typed("logs", study.folder.root, "beta=4,latent_dim=5,seed=0")
    typed("list", study.folder.root.parent)

    assert before == {path: path.stat().st_mtime_ns for path in study.folder.root.rglob("*")}
    assert slugs(study)
    assert commands.status is entry.parser().parse_args(["status", "x"]).run
