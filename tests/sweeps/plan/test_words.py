import os
from functools import partial
from pathlib import Path

import pytest

from bvae import config
from bvae.exceptions import ConfigError
from sweeps.plan import overrides
from sweeps.plan.overrides import parse
from sweeps.plan.words import of_params, with_texts_quoted, without_password
from tests.doubles.names import NAMES

split = partial(overrides.split, groups=config.groups())


class TestOfParams:
    @pytest.mark.parametrize(
        ("params", "axes"),
        [
            ({"beta": [1, 4, 0.5]}, {"beta": [1.0, 4.0, 0.5]}),
            ({"beta": "1,4"}, {"beta": [1.0, 4.0]}),
            ({"beta": 4, "seed": [3]}, {"beta": [4.0], "seed": [3]}),
            ({"optimizer": {"lr": [1e-5, 1e-3]}}, {"optimizer.lr": [1e-5, 1e-3]}),
            ({"model": ["mlp", "conv"]}, {"model": ["mlp", "conv"]}),
            ({"data.score_every": [[1, 2], [3]]}, {"data.score_every": [[1, 2], [3]]}),
            ({"data.variance": [None, 0.1]}, {"data.variance": [None, 0.1]}),
            ({"extend": [True, False]}, None),
            ({"loss.c_max": [1, 2]}, {"loss.c_max": [1, 2]}),
            ({"loss": {"weights": [[1, 2], [3]]}}, {"loss.weights": [[1, 2], [3]]}),
            ({"data.path": ["a,b[1]", "it's"]}, {"data.path": ["a,b[1]", "it's"]}),
            ({"beta": ["${oc.env:A_BETA}", 1]}, {"beta": [7.0, 1.0]}),
        ],
    )
    def test_values_of_a_yaml_file(
        self,
        monkeypatch: pytest.MonkeyPatch,
        params: dict[str, object],
        axes: dict[str, list[object]] | None,
    ) -> None:
        """A list is swept over, whatever it holds; what cannot be swept is refused as if typed."""
        monkeypatch.setenv("A_BETA", "7")
        if axes is None:
            with pytest.raises(ConfigError, match="cannot be swept"):
                split([], params=of_params(params))
        else:
            assert axes == split([], params=of_params(params)).axes

    def test_a_list_of_a_key_that_takes_lists_is_one_value(self) -> None:
        """Lists of it are swept."""
        found = split([], params=of_params({"data.score_every": [1, 1, 2], "data.path": None}))

        assert ["data.score_every=[1,1,2]", "data.path=null"] == found.fixed

    def test_an_empty_list(self) -> None:
        """It has nothing to sweep over."""
        with pytest.raises(ConfigError, match=r"^hydra\.sweeper\.params\.beta: an empty list"):
            of_params({"beta": []})


class TestWithoutPassword:
    @pytest.mark.parametrize(
        ("typed", "left"),
        [
            ("hydra.sweeper.storage=postgresql://u:p%2Fw@h:1/d", "postgresql://u@h:1/d"),
            ("++hydra.sweeper.storage='postgresql://u:p%2Fw@h/d'", "'postgresql://u@h/d'"),
            ("hydra.sweeper.storage=postgresql+psycopg://:p/w@h/d", "postgresql+psycopg://@h/d"),
        ],
    )
    def test_it_is_handed_on_in_the_environment(
        self, monkeypatch: pytest.MonkeyPatch, typed: str, left: str
    ) -> None:
        """As PostgreSQL's library reads it, and gone from what was typed."""
        monkeypatch.setenv("PGPASSWORD", "old")

        assert ["beta=1", typed.partition("=")[0] + "=" + left] == (
            without_password(["beta=1", typed])
        )
        assert "p/w" == os.environ["PGPASSWORD"]

    def test_one_with_an_at_is_whole(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It ends where the host begins."""
        monkeypatch.setenv("PGPASSWORD", "old")
        typed = ["hydra.sweeper.storage=postgresql://u:p@ss@h/d"]

        assert ["hydra.sweeper.storage=postgresql://u@h/d"] == without_password(typed)
        assert "p@ss" == os.environ["PGPASSWORD"]

    def test_nothing_else_is_touched(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A URL without one, and any other key."""
        monkeypatch.setenv("PGPASSWORD", "old")
        typed = ["hydra.sweeper.storage=postgresql://u@h/d", "data.path=a://b:c@d"]

        assert typed == without_password(typed)
        assert "old" == os.environ["PGPASSWORD"]


class TestTexts:
    @pytest.mark.parametrize("name", [name for name in NAMES if name != "null"])
    @pytest.mark.parametrize("key", ["study", "runs_dir", "data.path", "tracker.project"])
    def test_are_what_was_typed(self, key: str, name: str) -> None:
        """Whatever they look like; only folders may be swept, and are where a comma is."""
        (line,) = with_texts_quoted([f"{key}={name}"], sweeps=False)

        assert name == parse([line])[0].value()

    @pytest.mark.parametrize("typed", ["study='a b'", 'study="a b"', "study=null", "beta=1,4"])
    def test_quotes_and_null_are_hydras(self, typed: str) -> None:
        """As they always were; other keys are left alone."""
        assert [typed] == with_texts_quoted([typed], sweeps=True)

    def test_a_folder_that_cannot_be_null(self) -> None:
        """Is called that."""
        assert ['runs_dir="null"'] == with_texts_quoted(["runs_dir=null"], sweeps=False)

    def test_folders_are_swept(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Between commas, unless there is a folder of that name."""
        monkeypatch.chdir(tmp_path)
        typed = ["data.path=Häuser (2024),'a,b',${oc.env:X,y},2024_05"]
        (line,) = with_texts_quoted(typed, sweeps=True)
        assert """data.path="Häuser (2024)",'a,b',"${oc.env:X,y}","2024_05\"""" == line
        assert ["data.path=choice(a,b)"] == with_texts_quoted(
            ["data.path=choice(a,b)"], sweeps=True
        )

        (tmp_path / "a,b").mkdir()
        assert ['data.path="a,b"'] == with_texts_quoted(["data.path=a,b"], sweeps=True)
