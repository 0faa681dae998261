import dataclasses
import json
import math
import os
from pathlib import Path

import pytest

from bvae.exceptions import ConfigError
from sweeps import load_study
from sweeps.study.manifest import SCHEMA, VALUES_THEN, Manifest, combination
from sweeps.study.trials import grid
from tests.doubles.studies import CONFIGURATION, SEARCH, manifest, trials

TRIAL = {"beta": 1, "latent_dim": 2, "seed": 0}


class TestManifest:
    def test_it_is_read_as_it_was_written(self, tmp_path: Path) -> None:
        """Nothing is lost on the way to disk and back."""
        made = manifest(trials(), groups=["model"], versions={"torch": "2"})
        made.write(tmp_path / "manifest.json")

        assert made == Manifest.read(tmp_path / "manifest.json")

    @pytest.mark.parametrize("folder", ["nowhere", "file"])
    def test_a_folder_without_one_is_no_study(self, tmp_path: Path, folder: str) -> None:
        """The message says what to give."""
        (tmp_path / "file").touch()

        with pytest.raises(ConfigError, match=r"not a study .*; give the folder of a study"):
            load_study(tmp_path / folder)

    @pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"name": "a"}', "[" * 100_000])
    def test_a_damaged_one_is_told(self, tmp_path: Path, content: str) -> None:
        """It is not taken for a study without trials."""
        (tmp_path / "manifest.json").write_text(content)

        with pytest.raises(ConfigError, match="not a manifest this version can read"):
            load_study(tmp_path)

    def test_a_pipe_in_its_place_is_not_waited_for(self, tmp_path: Path) -> None:
        """Nobody might ever write into it."""
        os.mkfifo(tmp_path / "manifest.json")

        with pytest.raises(ConfigError, match=r"no regular file.*; put back the file"):
            load_study(tmp_path)

    @pytest.mark.parametrize(
        ("key", "value", "reason"),
        [
            ("points", None, "points: expected a list of objects, but got null"),
            ("points", [], r"points: expected one at least, but got \[\]"),
            ("points", [{"beta": 1}], "points: expected latent_dim as an integer, but got null"),
            ("points", [{"beta": "x"}], 'points: expected beta as a number, but got "x"'),
            ("points", [TRIAL | {"beta": 0}], "points: expected beta as a finite number above 0"),
            ("points", [TRIAL | {"beta": math.nan}], "points: expected beta as a finite number"),
            ("points", [TRIAL | {"beta": 10**400}], "points: expected beta as a number, but"),
            ("points", [TRIAL | {"latent_dim": 0}], "points: expected latent_dim from 1 to"),
            ("points", [TRIAL | {"latent_dim": 10**30}], "points: expected latent_dim from 1 to"),
            ("base", None, "base: expected an object, but got null"),
            ("axes", None, "axes: expected a list of texts, but got null"),
            ("axes", ["model"], "points: expected model as a value, but got null"),
            ("objective", None, "objective: expected a text, but got null"),
            ("command", None, "command: expected a text, but got null"),
            ("created_at", None, "created_at: expected a text, but got null"),
            ("max_attempts", "3", 'max_attempts: expected an integer, but got "3"'),
            ("sources", {"a": 1}, "sources: expected an object of texts, but got"),
            ("search", {"space": {}, "seeds": [0]}, "n_trials"),
            ("search", {"space": 1}, "space"),
            ("name", "../x", 'name: expected a name without /, but got "../x"'),
            ("name", "\ud800", "name: expected a name without /"),
            ("study_id", "a/b", "study_id: expected a name without /"),
            ("protocol", "../../x", "protocol: expected a name without /"),
        ],
    )
    def test_a_wrong_value_is_told(
        self, tmp_path: Path, key: str, value: object, reason: str
    ) -> None:
        """With the file, the key as it is written there, and what to do."""
        path = tmp_path / "manifest.json"
        manifest(trials()).write(path)
        path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))

        with pytest.raises(ConfigError, match=rf"manifest.json: .*{reason}.*; put back the file"):
            load_study(tmp_path)

    def test_a_configuration_that_is_not_there(self) -> None:
        """What needs it says so; what does not can be read."""
        made = manifest(trials(), compositions={})

        assert made.keep_trials is None
        with pytest.raises(ConfigError, match=r"tested: manifest\.json has no configuration; put"):
            made.config_of(trials()[0])

    def test_a_folder_of_that_name(self, tmp_path: Path) -> None:
        """It is no manifest."""
        (tmp_path / "manifest.json").mkdir()

        with pytest.raises(ConfigError, match=r"manifest.json: not a manifest .*Is a directory"):
            load_study(tmp_path)

    def test_a_newer_schema_is_told(self, tmp_path: Path) -> None:
        """A manifest that may mean something else is not guessed at."""
        content = dataclasses.asdict(manifest(trials())) | {"schema": SCHEMA + 1}
        (tmp_path / "manifest.json").write_text(json.dumps(content))

        with pytest.raises(ConfigError, match="written by a newer version"):
            load_study(tmp_path)

    def test_keys_of_later_versions_are_left_out(self, tmp_path: Path) -> None:
        """A key that is new within the same schema does no harm."""
        path = tmp_path / "manifest.json"
        manifest(trials()).write(path)
        path.write_text(json.dumps(json.loads(path.read_text()) | {"new": 1}))

        assert manifest(trials()) == Manifest.read(path)


class TestConfiguration:
    def test_swept_values_are_set(self) -> None:
        """Coordinates and dotted keys have the trial's values; all else is as composed."""
        (trial,) = grid(
            {
                "beta": [0.5],
                "latent_dim": [7],
                "seed": [3],
                "optimizer.lr": [1e-4],
                "data.score_every": [[1, 2, 1, 2, 2]],
            }
        )[0]
        made = manifest([trial], axes=["optimizer.lr", "data.score_every"])

        found = made.config_of(trial)

        assert (0.5, 7, 3) == (found["beta"], found["latent_dim"], found["seed"])
        assert {"name": "adam", "lr": 1e-4} == found["optimizer"]
        assert [1, 2, 1, 2, 2] == found["data"]["score_every"]
        assert CONFIGURATION["trainer"] == found["trainer"]

    def test_a_swept_group_has_what_was_composed_for_its_choice(self) -> None:
        """A choice among config groups may change any number of keys."""
        chosen = {"model=conv": {"model": {"name": "conv"}}, "model=mlp": {"model": {"name": "m"}}}
        listed = grid({"beta": [1], "latent_dim": [2], "seed": [0], "model": ["mlp", "conv"]})[0]
        made = manifest(listed, axes=["model"], groups=["model"], compositions=chosen)

        assert {"name": "conv"} == made.config_of(listed[1])["model"]

    def test_what_depends_on_swept_keys_is_resolved_last(self) -> None:
        """Each trial has its own values, also inside texts, lists, and by way of other keys."""
        changed = CONFIGURATION | {
            "optimizer": {"name": "adam", "lr": "${data.variance}"},
            "data": CONFIGURATION["data"]
            | {"variance": "${beta}", "score_every": [1, "${latent_dim}"]},
            "tracker": {"name": "none", "mode": "offline", "project": "a_${seed}"},
        }
        listed = trials(beta=[0.5, 2], seed=[0, 1])
        made = manifest(listed, compositions={"": changed})

        for trial in listed:
            found = made.config_of(trial)
            beta, seed = trial.values["beta"], trial.values["seed"]
            assert (beta, beta) == (found["optimizer"]["lr"], found["data"]["variance"])
            assert [1, 5] == found["data"]["score_every"]
            assert f"a_{seed}" == found["tracker"]["project"]
        assert "a_0" == made.tracker.project

    def test_a_search_comes_back_as_it_was_written(self, tmp_path: Path) -> None:
        """In the file it is an object of four keys; one that only another version knows is left."""
        path = tmp_path / "manifest.json"
        manifest(trials(), search=SEARCH).write(path)
        content = json.loads(path.read_text())
        assert ["space", "seeds", "sampler", "n_trials"] == list(content["search"])

        content["search"]["later"] = 1
        path.write_text(json.dumps(content))
        assert SEARCH == Manifest.read(path).search

    def test_what_cannot_be_resolved_is_named(self) -> None:
        """The key that holds it, and what is not there."""
        changed = CONFIGURATION | {"optimizer": {"name": "adam", "lr": "${betta}"}}
        made = manifest(trials(), compositions={"": changed})

        with pytest.raises(ConfigError, match=r"optimizer\.lr: .*'betta'"):
            made.config_of(trials()[0])

    @pytest.mark.parametrize(("base", "expected"), [({}, None), ({"trainer.max_steps": 7}, 7)])
    def test_steps(self, base: dict[str, object], expected: int | None) -> None:
        """Known where all trials take as many."""
        assert expected == manifest(trials(), base=base).steps
        assert manifest(trials(), base={"trainer.max_steps": "${latent_dim}"}).steps is None

    def test_the_manifest_is_not_changed(self) -> None:
        """What one trial sets the next does not see."""
        made = manifest(trials(beta=[1, 4]))
        made.config_of(made_trial := trials(beta=[1])[0])["trainer"]["max_steps"] = 0

        assert CONFIGURATION["trainer"] == made.config_of(made_trial)["trainer"]

    @pytest.mark.parametrize(
        ("choices", "expected"), [({}, ""), ({"model": "mlp", "data": "x"}, "data=x,model=mlp")]
    )
    def test_a_choice_has_one_name(self, choices: dict[str, str], expected: str) -> None:
        """Whatever the order in which groups were swept."""
        assert expected == combination(choices)


class TestValuesThen:
    """Keys that a study was begun without."""

    @pytest.mark.parametrize(
        ("composed", "expected"),
        [
            ({"loss": {"name": "own", "_target_": "my.Loss"}}, set()),
            ({}, {key for key in VALUES_THEN if key.startswith("loss.")}),
        ],
    )
    def test_another_loss_is_no_older_one(
        self, composed: dict[str, object], expected: set[str]
    ) -> None:
        """A loss without the keys of the β-VAE's is another, a study without any is an older."""
        made = manifest(trials(), compositions={"": CONFIGURATION | composed})
        assert made.values_then.keys() == expected
