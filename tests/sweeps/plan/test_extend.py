import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from bvae.config import Config
from bvae.exceptions import ConfigError
from bvae.versions import code_version
from sweeps import load_study
from sweeps.plan.extend import extended
from sweeps.plan.plan import Plan
from sweeps.plan.settings import SweepSettings
from sweeps.queue.queue import Queue
from sweeps.study.heartbeat import WorkerRegistry
from sweeps.study.manifest import VALUES_THEN, Manifest
from sweeps.study.study import Study, open_study
from tests.doubles.studies import write_result

Planned = Callable[..., Plan]


def begun_before_holdout(study: Study) -> Study:
    """Write a study's manifest as it was before the key `data.holdout` existed."""
    known = study.manifest
    base = {key: value for key, value in known.base.items() if key != "data.holdout"}
    compositions = {
        choice: values
        | {"data": {key: value for key, value in values["data"].items() if key != "holdout"}}
        for choice, values in known.compositions.items()
    }
    study.folder.root.mkdir(parents=True, exist_ok=True)
    replace(known, base=base, compositions=compositions).write(study.folder.manifest)
    return open_study(study.folder.root)


class TestKeysThatAreYounger:
    FOLDER = ("data=folder", "data.path=images", "trainer.batch_size=2")

    @pytest.fixture(autouse=True)
    def images(self, tmp_path: Path) -> None:
        """A folder with two images."""
        (tmp_path / "images").mkdir()
        for grey in (10, 20):
            Image.new("L", (32, 32), grey).save(tmp_path / "images" / f"{grey}.png")

    def test_the_schema_has_the_values_of_then(self) -> None:
        """An older configuration is parsed as what it was."""
        for key, value in VALUES_THEN.items():
            group, _, name = key.partition(".")
            settings = getattr(Config(), group)
            assert value == (settings[name] if group == "loss" else getattr(settings, name))

    @pytest.mark.parametrize("name", [(), ("study=one",)])
    def test_an_older_study_goes_on(self, planned: Planned, name: tuple[str, ...]) -> None:
        """Its own command finds it, named or not; its trials have the value of then, and again."""
        then = planned("beta=1", *self.FOLDER, "data.holdout=0", *name)
        study = begun_before_holdout(Study(then.folder, then.manifest))
        for beta in ("1", "1,4"):
            found = planned(f"beta={beta}", *self.FOLDER, *name)
            again = found.write()

            assert study.folder.root == again.folder.root
            assert (f"data.holdout=0.0 as when {study.name} was begun",) == found.notes[:1]
            assert study.manifest.study_id == again.manifest.study_id
            assert {0.0} == {one.data.holdout for one in found.configs}
            assert {"data.holdout": 0.0} == again.manifest.values_then
        assert 2 == len(again.trials)

    def test_other_values_are_told_by_the_value_of_then(self, planned: Planned) -> None:
        """What is typed counts: the value of then is no difference, another one is."""
        begun_before_holdout(planned("beta=1", *self.FOLDER, "data.holdout=0", "study=one").write())

        found = planned("beta=1", *self.FOLDER, "study=one", "data.holdout=0.0")
        assert not [note for note in found.notes if "holdout" in note]
        assert {"data.holdout": 0.0} == found.write().manifest.values_then
        with pytest.raises(ConfigError, match=r"\n  data\.holdout: 0\.0 in the study, 0\.2 now"):
            planned("beta=1", *self.FOLDER, "study=one", "data.holdout=0.2")
        with pytest.raises(ConfigError, match=r"data\.holdout: 0\.0 in the study, swept now"):
            planned("beta=1", *self.FOLDER, "study=one", "data.holdout=0,0.2")

    def test_a_new_study_has_the_default_of_today(self, planned: Planned) -> None:
        """Also where one was begun without the share: that is another study."""
        without = planned("beta=1", *self.FOLDER, "data.holdout=0").write()
        found = planned("beta=1", *self.FOLDER)

        assert without.folder.root != found.folder.root
        assert {0.1} == {one.data.holdout for one in found.configs}
        assert {} == found.manifest.values_then

    def test_an_unchanged_default_changes_no_name(self, planned: Planned) -> None:
        """The study of a command that names none is found where it was before the key existed."""
        found = planned("beta=1")
        study = begun_before_holdout(Study(found.folder, found.manifest))
        again = planned("beta=1")

        assert "dsprites32-mlp-38c55b9c" == study.name == again.manifest.name
        assert () == again.notes

    def test_the_same_with_a_swept_group(self, planned: Planned) -> None:
        """Each choice of it is held against what it was then."""
        grid = ("beta=1", "data=dsprites,dsprites32", "study=two")
        begun_before_holdout(planned(*grid).write())

        assert {"data.holdout": 0.0} == planned(*grid).write().manifest.values_then
        with pytest.raises(ConfigError, match=r"data\.holdout: 0\.0 in the study, 0\.2 now"):
            planned(*grid, "data.holdout=0.2")


class TestExtension:
    @pytest.fixture
    def study(self, planned: Planned) -> Study:
        """A study of two trials, on disk."""
        return planned("beta=1,4", "seed=0", "study=one").write()

    def test_a_larger_grid_extends_it(self, planned: Planned, study: Study) -> None:
        """It stays the same study, its trials in the order to run."""
        found = planned("beta=4,16", "seed=0", "study=one")
        more = found.write()

        assert [1, 16, 4] == [trial.values["beta"] for trial in more.trials]
        assert [4, 16] == [trial.values["beta"] for trial in found.asked]
        assert study.manifest.study_id == more.manifest.study_id
        assert study.manifest.created_at == more.manifest.created_at

    def test_a_smaller_grid_never_shrinks_it(self, planned: Planned, study: Study) -> None:
        """What was asked for once stays."""
        assert study.trials == planned("beta=4", "seed=0", "study=one").write().trials

    def test_another_base_is_refused(self, planned: Planned, study: Study) -> None:
        """Every differing key, and what to do."""
        with pytest.raises(ConfigError, match="study one") as raised:
            planned("beta=1", "study=one", "optimizer.lr=1e-4", "trainer.max_steps=7")

        assert [
            "the study one was made with another configuration:",
            "  optimizer.lr: 0.001 in the study, 0.0001 now",
            "  trainer.max_steps: 2000 in the study, 7 now",
            "give the new one a name of its own (study=…), or type the old values",
        ] == str(raised.value).splitlines()

    def test_another_value_below_a_swept_group_is_refused(self, planned: Planned) -> None:
        """Trials of one curve have the same likelihood."""
        grid = ("beta=1", "data=dsprites,dsprites32", "study=two")
        planned(*grid).write()

        with pytest.raises(
            ConfigError, match=r"\n  data\.likelihood: bernoulli in the study, gauss"
        ):
            planned(*grid, "data.likelihood=gaussian", "data.variance=0.1")

    def test_a_single_trial_leaves_the_sweep_as_it_is(self, planned: Planned) -> None:
        """It is added; how the study goes on, and where it searches, is as it was typed."""
        command = ["-m", "beta=interval(1,64)"]
        settings = SweepSettings(max_attempts=5, n_trials=9)
        begun = (
            planned("beta=interval(1,64)", "study=s", command=command, settings=settings)
            .write()
            .manifest
        )
        alone = planned("beta=3", "study=s", sweeps=False).write().manifest

        assert {"beta": 3, "latent_dim": 10, "seed": 0} in alone.trials
        assert replace(alone, trials=begun.trials, versions=begun.versions) == begun

    def test_more_steps_are_another_study(self, planned: Planned, study: Study) -> None:
        """Unless one asks for the models to be trained on, which the message says how to do."""
        with pytest.raises(ConfigError, match=r"train its models on \(extend=true\)"):
            planned("beta=1", "study=one", "trainer.max_steps=3000")

    @pytest.mark.parametrize(("kept", "is_said"), [(1.0, False), (0.5, True), (0.0, True)])
    def test_a_checkpoint_that_was_cut(
        self, planned: Planned, study: Study, kept: float, *, is_said: bool
    ) -> None:
        """A trial without one is trained from the start: it is said before anything is."""
        for trial in study.trials:
            write_result(study, trial, steps=2000)
            folder = study.folder.trial(trial.slug)
            folder.checkpoints.mkdir()
            with zipfile.ZipFile(folder.last, "w") as file:
                file.writestr("data", bytes(1000))
            whole = folder.last.read_bytes()
            folder.last.write_bytes(whole[: int(kept * len(whole))])

        found = planned("beta=1", "study=one", "trainer.max_steps=3000", "extend=true")

        assert is_said == any("are trained from the start" in note for note in found.notes)

    def test_more_steps_with_extend(self, planned: Planned, study: Study) -> None:
        """The study goes on with more steps for all its trials; what is shorter is to be run."""
        for trial in study.trials:
            write_result(study, trial, steps=2000)
        found = planned("beta=1", "study=one", "trainer.max_steps=3000", "extend=true")
        longer = found.write()

        continued, anew = found.notes
        assert "trials of 2000 steps are continued to 3000" == continued
        assert anew.startswith(f"2 trials of them, {study.trials[0].slug} say, are trained from")
        assert study.manifest.study_id == longer.manifest.study_id
        assert {"pending": 2, "complete": 0}.items() <= longer.counts.items()
        assert [3000, 3000] == [
            longer.manifest.config_of(trial)["trainer"]["max_steps"] for trial in longer.trials
        ]

    def test_extend_takes_only_more_steps(self, planned: Planned, study: Study) -> None:
        """Fewer steps, or another learning rate beside more of them, are another study."""
        for typed in (["trainer.max_steps=7"], ["trainer.max_steps=3000", "optimizer.lr=1e-4"]):
            with pytest.raises(ConfigError, match="made with another configuration"):
                planned("beta=1", "study=one", "extend=true", *typed)

    def test_once_extended_the_longer_command_is_the_same(
        self, planned: Planned, study: Study
    ) -> None:
        """It need not say extend=true again."""
        planned("beta=1", "study=one", "trainer.max_steps=3000", "extend=true").write()

        assert (
            study.trials == planned("beta=1", "study=one", "trainer.max_steps=3000").write().trials
        )

    def test_a_further_axis_is_refused(self, planned: Planned, study: Study) -> None:
        """Its old trials have no value for it."""
        with pytest.raises(ConfigError, match=r"optimizer\.lr: 0\.001 in the study, swept now"):
            planned("beta=1", "study=one", "optimizer.lr=1e-4,1e-3")

    def test_a_single_value_of_an_axis_is_a_smaller_grid(self, planned: Planned) -> None:
        """What was swept once need not be swept again."""
        planned("beta=1", "model=mlp,conv", "study=two").write()

        found = planned("beta=4", "model=conv", "study=two")

        assert [{"beta": 4, "latent_dim": 10, "seed": 0, "model": "conv"}] == [
            trial.values for trial in found.asked
        ]
        assert 3 == len(found.write().trials)

    def test_configurations_of_both_are_kept(self, planned: Planned) -> None:
        """A choice that is not typed again still has its own."""
        planned("beta=1", "model=mlp,conv", "study=two").write()
        study = planned("beta=1", "model=higgins", "study=two").write()

        assert {"mlp", "conv", "higgins"} == {
            study.manifest.config_of(trial)["model"]["name"] for trial in study.trials
        }


class TestSources:
    @pytest.fixture
    def study(self, planned: Planned) -> Study:
        """A study of two trials made with other sources: one changed, one gone, one new.

        A fourth does not count.
        """
        found = planned("beta=1,4", "seed=0", "study=one")
        sources = dict(found.manifest.sources) | {"bvae/evaluate.py": "0" * 12}
        sources |= {"bvae/data/old.py": "1", "bvae/tracking.py": "1"}
        del sources["bvae/model.py"]
        old = replace(found.manifest, code_version="0" * 12, sources=sources)
        old.write(found.folder.manifest)
        return load_study(found.folder.root)

    def test_other_sources_are_refused_while_something_is_left(
        self, planned: Planned, study: Study
    ) -> None:
        """Numbers of two versions could not be compared; every file is named."""
        with pytest.raises(ConfigError, match="old sources") as raised:
            planned("beta=1", "study=one")

        assert [
            "  bvae/data/old.py: gone",
            "  bvae/evaluate.py: changed",
            "  bvae/model.py: new",
        ] == str(raised.value).splitlines()[1:-1]
        assert "accept_sources=true" in str(raised.value)

    def test_command_that_accepts_them_still_continues(
        self, planned: Planned, study: Study
    ) -> None:
        """To more steps, if that was typed: without it the command would be refused."""
        with pytest.raises(ConfigError, match="old sources") as raised:
            planned("beta=1", "study=one", "trainer.max_steps=6000", "extend=true")

        words = str(raised.value).rpartition(": bvae ")[2].split()
        assert {"trainer.max_steps=6000", "accept_sources=true", "extend=true"} <= {*words}

    def test_sources_that_do_not_count_may_differ(self, planned: Planned) -> None:
        """A study that lists all of `bvae/`, as older ones do, is compared by those that count."""
        found = planned("beta=1,4", "seed=0", "study=one")
        every = found.manifest.sources | {"bvae/visuals.py": "1", "bvae/files.py": "2"}
        replace(found.manifest, code_version="0" * 12, sources=every).write(found.folder.manifest)

        assert planned("beta=1", "study=one").write().manifest.sources == found.manifest.sources

    def test_accepted_sources_stay_accepted(self, planned: Planned, study: Study) -> None:
        """The manifest says which; those of the beginning stay there."""
        grown = planned("beta=1,16", "study=one", "accept_sources=true").write().manifest
        again = planned("beta=1", "study=one").write().manifest

        assert study.manifest.code_version == grown.code_version != code_version()
        assert [code_version()] == grown.accepted == again.accepted
        assert 3 == len(again.trials)

    def test_a_finished_study_may_be_looked_at(self, planned: Planned, study: Study) -> None:
        """Nothing would be run; but it is not to be extended, neither now nor later."""
        for trial in study.trials:
            write_result(study, trial)

        looked_at = planned("beta=1", "study=one").write()

        assert study.manifest.sources == looked_at.manifest.sources
        with pytest.raises(ConfigError, match="other sources, so"):
            planned("beta=16", "study=one")


def test_extension_keeps_the_terms_now_typed(planned: Planned) -> None:
    """More attempts may be given to a study that is there."""
    old = planned("beta=1", "study=one").manifest
    new = planned("beta=1", "study=one", settings=SweepSettings(max_attempts=5)).manifest

    found: Manifest = extended(old, new)
    assert 5 == found.max_attempts


class TestSearch:
    SPACE = ("beta=interval(1,64)", "latent_dim=5,10", "seed=0,1", "study=one")

    def test_a_search_goes_on_for_longer(self, planned: Planned) -> None:
        """More trainings are more; fewer never shrink it."""
        planned(*self.SPACE, settings=SweepSettings(n_trials=8)).write()
        more = planned(*self.SPACE, settings=SweepSettings(n_trials=12)).write()
        fewer = planned(*self.SPACE, settings=SweepSettings(n_trials=3)).write()

        assert 12 == more.counts["expected"] == fewer.counts["expected"]
        assert more.manifest.trials == fewer.manifest.trials

    def test_it_may_begin_with_a_grid(self, planned: Planned) -> None:
        """Whose trials are among its trainings; and a grid may add trials to it."""
        grid = planned("beta=2,32", "latent_dim=5", "seed=0", "study=one").write()
        searched = planned(*self.SPACE, settings=SweepSettings(n_trials=12)).write()
        added = planned("beta=3", "latent_dim=5", "seed=0", "study=one").write()

        assert set(grid.trials) < set(searched.trials) < set(added.trials)
        assert 12 == searched.counts["expected"] == added.counts["expected"]
        assert searched.manifest.search == added.manifest.search

    def test_trials_found_meanwhile_stay(self, planned: Planned) -> None:
        """A worker that outlived its command adds a trial between plan and manifest."""
        study = planned(*self.SPACE, settings=SweepSettings(n_trials=12)).write()
        late = planned(*self.SPACE, settings=SweepSettings(n_trials=14))
        queue = Queue(study)
        queue.reconcile(WorkerRegistry(study.folder.workers))
        leases = [queue.lease("w") for _ in range(8)]

        assert leases[-1] is not None
        assert leases[-1].trial in late.write().trials
