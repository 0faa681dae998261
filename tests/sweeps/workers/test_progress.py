from dataclasses import replace
from pathlib import Path

import pytest

from sweeps.queue.queue import Queue
from sweeps.study.heartbeat import HeartbeatWriter
from sweeps.study.results import ABANDONED
from sweeps.study.study import Study
from sweeps.study.trials import Trial
from sweeps.workers import progress as module
from sweeps.workers.progress import Progress
from tests.doubles.studies import make_search, make_study, slugs, trials, write_result


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """A study of six trials: three configurations, two seeds."""
    return make_study(tmp_path / "tested", trials(beta=[1, 4, 16]))


@pytest.fixture
def progress(study: Study) -> Progress:
    """Its progress, refreshed before anything has ended."""
    progress = Progress(study)
    progress.refresh()
    return progress


def fail(study: Study, trial: Trial, error: str = "ValueError: no", attempt: int = 3) -> None:
    """Make an attempt at a trial fail."""
    write_result(study, trial, state="failed", attempt=attempt, error=error, scores={})


class TestRefresh:
    def test_results_are_counted_as_they_come(self, study: Study, progress: Progress) -> None:
        """Complete and failed trials need no further attempt; a failed attempt does."""
        write_result(study, study.trials[0])
        fail(study, study.trials[1])
        fail(study, study.trials[2], attempt=1)
        progress.refresh()

        counts = progress.snapshot().counts
        assert (1, 1, 4) == (counts["complete"], counts["failed"], counts["pending"])
        assert 4 == progress.left

    def test_it_is_what_the_study_says(self, study: Study, progress: Progress) -> None:
        """Seen from outside, a study is counted the same."""
        write_result(study, study.trials[0])
        fail(study, study.trials[1])
        with HeartbeatWriter(study.folder.workers / "w.json", name="w") as worker:
            worker.report(slugs(study)[3])
            progress.refresh()

            assert study.counts == progress.snapshot().counts

    def test_a_failed_trial_that_is_retried_is_open_again(
        self, study: Study, progress: Progress
    ) -> None:
        """`sweeps retry` may be typed while the study runs."""
        fail(study, study.trials[0])
        progress.refresh()
        Queue(study).retry([slugs(study)[0]])
        progress.refresh()

        assert 6 == progress.left
        assert () == progress.snapshot().failures


class TestChanges:
    def test_trials_that_another_command_adds(self, study: Study, progress: Progress) -> None:
        """They are expected from then on."""
        more = [trial.values for trial in trials(beta=[64])]
        replace(study.manifest, trials=[*study.manifest.trials, *more]).write(study.folder.manifest)
        progress.refresh()

        assert (8, 8) == (progress.left, progress.snapshot().counts["expected"])

    def test_trials_that_are_dropped(self, study: Study, progress: Progress) -> None:
        """Neither open nor ended ones are counted any more."""
        write_result(study, study.trials[0])
        progress.refresh()
        study.manifest.without(study.trials[:2]).write(study.folder.manifest)
        progress.refresh()

        counts = progress.snapshot().counts
        assert (4, 4, 0) == (progress.left, counts["expected"], counts["complete"])

    def test_trials_that_are_continued(self, study: Study, progress: Progress) -> None:
        """With more steps, what was complete is open again."""
        write_result(study, study.trials[0], steps=10)
        progress.refresh()
        assert 5 == progress.left
        replace(study.manifest, base={"trainer.max_steps": 20}).write(study.folder.manifest)
        progress.refresh()

        assert 6 == progress.left


class TestSearch:
    def test_trials_yet_to_be_found_are_left(self, tmp_path: Path) -> None:
        """They are pending; a trial that was found since is one of those that were expected."""
        study = make_search(tmp_path / "tested")
        progress = Progress(study)
        progress.refresh()
        assert 12 == progress.left

        found = Trial.of({"beta": 3, "latent_dim": 5, "seed": 0})
        replace(study.manifest, trials=[*study.manifest.trials, found.values]).write(
            study.folder.manifest
        )
        write_result(study, found)
        progress.refresh()

        assert 11 == progress.left
        assert {"expected": 12, "complete": 1, "pending": 11}.items() <= (
            progress.snapshot().counts.items()
        )


class TestBreaker:
    def failing(self, study: Study, *errors: str) -> Progress:
        """Return the progress of a study in which trials failed one after another."""
        progress = Progress(study)
        progress.refresh()
        for trial, error in zip(study.trials, errors, strict=False):
            fail(study, trial, error)
            progress.refresh()
        return progress

    def test_different_trials_with_one_cause(self, study: Study) -> None:
        """Numbers in the message do not make another cause; the last one is returned."""
        progress = self.failing(study, "E: step 1", "E: step 2.5e-3", "E: step nan", "E: step -7")

        assert "E: step -7" == progress.same_cause_in_a_row(4)
        assert progress.same_cause_in_a_row(5) is None

    def test_another_cause_breaks_the_row(self, study: Study) -> None:
        """Two causes are two stories."""
        assert self.failing(study, "A: x", "B: x", "B: x").same_cause_in_a_row(3) is None

    def test_a_success_breaks_the_row(self, study: Study) -> None:
        """Where something works, all is not lost."""
        progress = self.failing(study, "A: x", "A: x")
        write_result(study, study.trials[2])
        progress.refresh()
        fail(study, study.trials[3], "A: x")
        progress.refresh()

        assert progress.same_cause_in_a_row(2) is None
        assert "A: x" == progress.same_cause_in_a_row(1)

    def test_attempts_at_one_trial_are_one(self, study: Study, progress: Progress) -> None:
        """A trial that fails three times says nothing about the others."""
        for attempt in (1, 2, 3):
            fail(study, study.trials[0], "A: x", attempt)
            progress.refresh()

        assert progress.same_cause_in_a_row(2) is None

    def test_deaths_do_not_count(self, study: Study) -> None:
        """A trial whose workers died neither breaks a row nor makes one."""
        dead = f"{ABANDONED} 10 times"

        assert self.failing(study, dead, dead, dead).same_cause_in_a_row(1) is None
        assert "A: x" == self.failing(study, "A: x", dead, "A: x").same_cause_in_a_row(2)

    def test_what_failed_before_is_no_failure_now(self, study: Study) -> None:
        """A study with failed trials can be continued."""
        for trial in study.trials[:4]:
            fail(study, trial)
        progress = Progress(study)
        progress.refresh()

        assert progress.same_cause_in_a_row(1) is None


class TestSnapshot:
    def test_time_left(self, study: Study, progress: Progress) -> None:
        """Median time of a trial × trials left ÷ workers, what is half done counted half."""
        assert progress.snapshot().eta_s is None
        for trial, seconds in zip(study.trials[:3], (2.0, 8.0, 100.0), strict=True):
            write_result(study, trial, wall_time_s=seconds)
        progress.refresh()
        with (
            HeartbeatWriter(study.folder.workers / "a.json", name="a") as one,
            HeartbeatWriter(study.folder.workers / "b.json", name="b") as two,
        ):
            one.report(slugs(study)[3], step=1, total=2)
            two.report(slugs(study)[4], step=0, total=0)

            assert (3 - 0.5) * 8.0 / 2 == progress.snapshot().eta_s

    def test_time_left_of_a_continued_study(self, study: Study) -> None:
        """Earlier results show how long a trial takes, from the first refresh."""
        write_result(study, study.trials[0], wall_time_s=8.0)
        progress = Progress(study)
        progress.refresh()
        with HeartbeatWriter(study.folder.workers / "a.json", name="a") as worker:
            worker.report(slugs(study)[1], step=1, total=2)

            assert (5 - 0.5) * 8.0 == progress.snapshot().eta_s

    def test_time_left_before_a_trial_has_ended(
        self, study: Study, progress: Progress, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """By the steps since a trial was first seen to train: a resumed one has some already."""
        now = 100.0
        monkeypatch.setattr(module.time, "monotonic", lambda: now)
        with HeartbeatWriter(study.folder.workers / "a.json", name="a") as worker:
            worker.report(slugs(study)[0])
            assert progress.snapshot().eta_s is None
            worker.report(slugs(study)[0], step=40, total=100)
            assert progress.snapshot().eta_s is None
            now += 5
            worker.report(slugs(study)[0], step=50, total=100)
            assert (6 - 0.5) * 100 * 5 / 10 == progress.snapshot().eta_s

    def test_workers_that_have_yet_to_report(self, study: Study, progress: Progress) -> None:
        """Those that were launched, less those that live; workers of other commands are none."""
        with (
            HeartbeatWriter(study.folder.workers / "a.json", name="a", launched=True) as one,
            HeartbeatWriter(study.folder.workers / "b.json", name="b"),
        ):
            one.say("importing torch")
            seen = progress.snapshot(launched=3)

        assert 2 == seen.starting
        assert ["importing torch", ""] == [worker.doing for worker in seen.workers]
        assert 0 == seen.counts["running"]

    def test_what_running_trials_have_logged(self, study: Study, progress: Progress) -> None:
        """Once they train: before, the file is that of an earlier attempt."""
        slug = slugs(study)[0]
        folder = study.folder.trial(slug)
        folder.root.mkdir(parents=True)
        folder.history.write_text("step,train/loss\n10,98.5\n")
        with HeartbeatWriter(study.folder.workers / "a.json", name="a") as worker:
            worker.report(slug)
            assert {} == progress.snapshot().logged
            worker.report(slug, step=20, total=100)
            assert 98.5 == progress.snapshot().logged[slug].loss

    def test_no_time_is_left_when_all_is_done(self, study: Study, progress: Progress) -> None:
        """Zero, not unknown."""
        for trial in study.trials:
            write_result(study, trial)
        progress.refresh()

        assert 0.0 == progress.snapshot().eta_s

    def test_the_best_configuration_by_its_mean(self, study: Study, progress: Progress) -> None:
        """One lucky seed is not a configuration's mean; trials without the score are left out."""
        scores = [[0.3, 0.1], [0.2, 0.25], [0.1]]
        for configuration, values in zip((1, 4, 16), scores, strict=True):
            for seed, value in enumerate(values):
                trial = Trial.of({"beta": configuration, "latent_dim": 5, "seed": seed})
                write_result(study, trial, scores={"mig": value})
        write_result(study, Trial.of({"beta": 16, "latent_dim": 5, "seed": 1}), scores={})
        progress.refresh()

        best = progress.snapshot().best
        assert best is not None
        assert ("beta=4 latent_dim=5", 2) == (best.configuration, best.seeds)
        assert best.mean == pytest.approx(0.225)

    @pytest.mark.parametrize("state", ["pruned", "failed"])
    def test_a_configuration_that_was_pruned_or_failed_is_not_best(
        self, study: Study, progress: Progress, state: str
    ) -> None:
        """Neither by the score a pruned seed had on the way, nor by its other seed."""
        write_result(study, study.trials[0], scores={"mig": 0.1})
        spoilt = study.trials[1].values["beta"]
        for seed, ended in enumerate(("complete", state)):
            trial = Trial.of({"beta": spoilt, "latent_dim": 5, "seed": seed})
            write_result(study, trial, state=ended, scores={"mig": 0.9}, attempt=3)
        progress.refresh()

        best = progress.snapshot().best
        assert best is not None
        assert (0.1, 1, 2) == (best.mean, best.seeds, best.expected)

    def test_by_udr_nothing_is_best_yet(self, tmp_path: Path) -> None:
        """It is a configuration's score, which no result holds: the end tells."""
        study = make_study(tmp_path / "udr", objective="udr")
        for trial in study.trials:
            write_result(study, trial)
        progress = Progress(study)
        progress.refresh()

        assert progress.snapshot().best is None

    def test_failures_name_trial_and_cause(self, study: Study, progress: Progress) -> None:
        """Only trials that are failed for good."""
        fail(study, study.trials[0], "ValueError: no\nTraceback")
        fail(study, study.trials[1], "ValueError: yet", attempt=1)
        progress.refresh()

        assert (f"{slugs(study)[0]}: ValueError: no",) == progress.snapshot().failures

    def test_before_anything_has_begun(self, progress: Progress) -> None:
        """A study without a folder of trials has one to come."""
        snapshot = progress.snapshot()

        assert (6, None, ()) == (snapshot.counts["pending"], snapshot.best, snapshot.failures)
