import json
from pathlib import Path

import pytest

from bvae.exceptions import ConfigError, DataError
from sweeps import load_study
from sweeps.study.heartbeat import HeartbeatWriter
from sweeps.study.study import Study
from sweeps.study.trials import Trial
from tests.doubles.studies import (
    make_search,
    make_study,
    make_study_of_every_state,
    slugs,
    write_result,
)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """One trial of each state: complete, failed, pruned, to be tried again, running, untouched."""
    return make_study_of_every_state(tmp_path / "tested")


class TestStates:
    def test_each_trial_has_one(self, study: Study) -> None:
        """A failed attempt that is not the last leaves the trial pending."""
        with HeartbeatWriter(study.folder.workers / "w.json", name="w") as worker:
            worker.report(slugs(study)[4])
            states = list(load_study(study.folder.root).states.values())

        assert ["complete", "failed", "pruned", "pending", "running", "pending"] == states

    def test_counts_sum_to_expected(self, study: Study) -> None:
        """Every trial is counted, once."""
        counts = study.counts

        assert {
            "expected": 6,
            "complete": 1,
            "failed": 1,
            "pruned": 1,
            "running": 0,
            "pending": 3,
        } == counts
        assert counts["expected"] == sum(counts.values()) - counts["expected"]

    def test_trials_that_a_search_has_yet_to_find_are_pending(self, tmp_path: Path) -> None:
        """A search of twelve trainings expects twelve, whatever was found so far."""
        study = make_search(tmp_path / "search")
        write_result(study, study.trials[0])

        counts = load_study(study.folder.root).counts
        assert (12, 1, 11) == (counts.pop("expected"), counts["complete"], counts["pending"])
        assert 12 == sum(counts.values())

    def test_a_worker_at_a_finished_trial_runs_nothing(self, study: Study) -> None:
        """A result decides, whatever a slow worker is still at."""
        with HeartbeatWriter(study.folder.workers / "w.json", name="w") as worker:
            worker.report(slugs(study)[0])

            assert "complete" == load_study(study.folder.root).states[slugs(study)[0]]

    def test_a_damaged_result_is_pending(self, study: Study) -> None:
        """What cannot be read is run again."""
        study.folder.trial(slugs(study)[0]).result.write_text('{"state": "comp')

        assert "pending" == load_study(study.folder.root).states[slugs(study)[0]]

    def test_a_result_of_a_newer_version_is_told(self, study: Study) -> None:
        """It must not be taken for a damaged one, and run again."""
        write_result(study, study.trials[0], schema=99)

        with pytest.raises(DataError, match="newer version"):
            _ = load_study(study.folder.root).counts

    def test_a_trial_by_its_slug(self, study: Study) -> None:
        """The very one."""
        assert study.trial(slugs(study)[1]) is study.trials[1]

    def test_failures_have_reasons(self, study: Study) -> None:
        """Failed trials and failed attempts, each with the first line of the error."""
        assert [
            f"failed {slugs(study)[1]}: ValueError: no",
            f"attempt 1 of 3 at {slugs(study)[3]}: OSError: once",
        ] == study.failures


def test_one_result_can_be_had_by_its_slug(study: Study) -> None:
    """None where there is none."""
    first = study.results.get(slugs(study)[0])

    assert first is not None
    assert {"mig": 0.5, "beta_vae": 0.9} == first.scores
    assert study.results.get(slugs(study)[5]) is None
    assert study.folder.trials / slugs(study)[0] == study.trial_folder(slugs(study)[0])


def test_trials_are_those_of_the_manifest(tmp_path: Path) -> None:
    """A β of 4.0 in the file is the trial of β = 4."""
    made = make_study(tmp_path / "tested")
    content = json.loads(made.folder.manifest.read_text())
    content["points"] = [{"beta": 4.0, "latent_dim": 5, "seed": 0}]
    made.folder.manifest.write_text(json.dumps(content))

    assert (Trial.of({"beta": 4, "latent_dim": 5, "seed": 0}),) == load_study(
        made.folder.root
    ).trials


class TestBy:
    def test_scores_are_those_of_the_protocol(self, study: Study) -> None:
        """Where a trial has none of it, it has no score; all else is the study's."""
        first = study.trials[0]
        added = {"kim2018": {"mig": 0.75}}
        write_result(study, first, other_scores=added, other_scoring={"kim2018": {"code": "a"}})
        found = load_study(study.folder.root).by("kim2018")

        assert {"mig": 0.75} == found.results[first.slug].scores
        assert {"code": "a", "protocol": "kim2018"} == found.results[first.slug].scoring
        assert {"kim2018"} == {*found.frame()["protocol"]}
        assert 1 == found.frame()["mig"].count()
        assert study.states == found.states

    def test_the_studys_own_protocol(self, study: Study) -> None:
        """Its scores are where they were."""
        assert study.results == study.by(study.manifest.protocol).results

    def test_a_protocol_nothing_is_scored_by(self, study: Study) -> None:
        """The command that adds its scores is named."""
        with pytest.raises(ConfigError, match=r"`sweeps rescore .*tested'? protocol=kim2018` adds"):
            study.by("kim2018")


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("scores", None, "scores: expected an object of numbers, but got null"),
        ("scores", {"mig": "0.3"}, "scores: expected an object of numbers"),
        ("steps", "20", 'steps: expected an integer or null, but got "20"'),
        ("data", [1], "data: expected an object"),
        ("state", "done", "state: expected one of complete, failed, pruned"),
        ("other_scores", {"../../x": {}}, "other_scores: expected names of protocols"),
    ],
)
def test_a_result_of_other_types_counts_as_none(
    study: Study, key: str, value: object, reason: str
) -> None:
    """Its trial is pending, and it is said why."""
    slug = slugs(study)[0]
    path = study.folder.trial(slug).result
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))

    found = load_study(study.folder.root)
    assert "pending" == found.states[slug]
    assert f"{slug}/result.json cannot be read, and is replaced: {reason}" in found.failures[-1]


def test_a_score_may_be_missing(study: Study) -> None:
    """NaN and null are scores that could not be computed."""
    slug = slugs(study)[0]
    path = study.folder.trial(slug).result
    scores = {"mig": None, "sap": float("nan")}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"scores": scores}))

    assert "complete" == load_study(study.folder.root).states[slug]
