import copy
import json
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from bvae.exceptions import ConfigError
from bvae.files import write_atomically
from bvae.trial import WandbFolder
from sweeps import __main__ as entry
from sweeps import load_study
from sweeps.study.study import Study
from sweeps.study.trials import grid
from sweeps.tracking.workspace import build, push, sent
from tests.doubles import wandb_server
from tests.doubles.studies import CONFIGURATION, make_study, trials, write_result
from tests.doubles.wandb_server import ENTITY, Server


def study_named(root: Path, *, project: str = "tests", **changes: Any) -> Study:
    """A study of two trials with two scores."""
    configuration = copy.deepcopy(CONFIGURATION)
    configuration["tracker"]["project"] = project
    made = make_study(
        root, trials(seed=[0]), compositions={"": configuration}, name=root.name, **changes
    )
    for trial in made.trials:
        write_result(made, trial, scores={"beta_vae": 0.9, "mig": 0.2})
    return load_study(root)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """One study."""
    return study_named(tmp_path / "one")


@pytest.fixture
def other(tmp_path: Path) -> Study:
    """Another one."""
    return study_named(tmp_path / "two", study_id="1" * 32)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    """A server, in a shell where wandb is offline."""
    with wandb_server.serving() as server:
        for name, value in {**server.environ(), "WANDB_MODE": "offline"}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        yield server


def section_of(*studies: Study) -> dict[str, Any]:
    """What would be sent: the section of a workspace's specification."""
    section: dict[str, Any] = json.loads(sent(build(studies)))["spec"]["section"]
    return section


def panels(section: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """The settings of all panels of a kind."""
    sections = section["panelBankConfig"]["sections"]
    return [
        panel["config"] for one in sections for panel in one["panels"] if panel["viewType"] == kind
    ]


class TestBuild:
    def test_runs_of_the_study(self, study: Study) -> None:
        """Those of its group, more of them than W&B would draw by itself."""
        section = section_of(study)
        (filter_,) = section["runSets"][0]["filters"]["filters"]

        assert ({"section": "run", "name": "group"}, "one") == (filter_["key"], filter_["value"])
        assert 100 == section["settings"]["maxRuns"]

    def test_seeds_are_replicates(self, tmp_path: Path) -> None:
        """Runs are grouped by all that is swept but the seed; lines have mean and range."""
        swept = {"beta": [1, 4], "latent_dim": [5], "seed": [0, 1]}
        study = make_study(
            tmp_path / "swept",
            grid({**swept, "model": ["mlp"], "optimizer.lr": [1e-3, 1e-4]})[0],
            axes=["model", "optimizer.lr"],
            groups=["model"],
            compositions={"model=mlp": CONFIGURATION},
        )
        section = section_of(study)
        keys = [one["name"] for one in section["runSets"][0]["grouping"]]
        lines = panels(section, "Run History Line Plot")

        assert ["latent_dim.value", "beta.value", "model.value.name", "optimizer.value.lr"] == keys
        (validation,) = (one for one in lines if one["metrics"] == ["scores/mig"])
        assert ("trainer/global_step", True) == (validation["xAxis"], validation["aggregate"])
        assert ("mean", "minmax") == (validation["groupAgg"], validation["groupArea"])

    def test_importance(self, study: Study) -> None:
        """Which key the objective depends on most."""
        (found,) = panels(section_of(study), "Parameter Importance")
        assert "scores/mig" == found["targetKey"]

    def test_scores_against_beta(self, study: Study) -> None:
        """Objective first, on a log axis, latent sizes told apart; no variants of a score."""
        write_result(study, study.trials[0], scores={"beta_vae": 0.9, "mig": 0.2, "mig_active": 1})
        study = load_study(study.folder.root)
        found = panels(section_of(study), "Scatter Plot")

        assert ["summary:scores/mig", "summary:scores/beta_vae"] == [one["yAxis"] for one in found]
        for one in found:
            assert "config:beta.value" == one["xAxis"]
            assert one["xAxisLogScale"]
            assert "config:latent_dim.value" == one["zAxis"]

    def test_the_curve(self, study: Study) -> None:
        """A line for each latent size against log β, from the table of the report's run."""
        (chart,) = panels(section_of(study), "Vega2")

        assert "wandb/line/v0" == chart["panelDefId"]
        assert {"x": "log10_beta", "y": "mean", "stroke": "line"} == chart["fieldSettings"]
        assert "objective_curve" in json.dumps(chart["userQuery"])

    def test_parallel_coordinates(self, study: Study) -> None:
        """β on a log scale, the latent size, every score."""
        (found,) = panels(section_of(study), "Parallel Coordinates Plot")
        columns = {one["accessor"]: one.get("log") for one in found["columns"]}

        assert columns["config:beta.value"]
        assert {"config:latent_dim.value", "summary:scores/mig", "summary:scores/beta_vae"} <= set(
            columns
        )

    def test_kl_pictures_and_comparison(self, study: Study) -> None:
        """KL of each latent over training, what the trials drew, runs beside one another."""
        section = section_of(study)
        metrics = [one["metrics"] for one in panels(section, "Run History Line Plot")]
        media = [key for one in panels(section, "Media Browser") for key in one["mediaKeys"]]

        assert [f"kl/z0{m}" for m in range(5)] in metrics
        assert ["kl/active_units"] in metrics
        assert {"media/traversal", "media/traversal_gif", "charts/curve"} <= set(media)
        assert 1 == len(panels(section, "Run Comparer"))

    def test_two_studies(self, study: Study, other: Study) -> None:
        """The runs of both, told apart by their study."""
        section = section_of(study, other)
        filters = section["runSets"][0]["filters"]["filters"]
        (coordinates,) = panels(section, "Parallel Coordinates Plot")

        assert ["one", "two"] == [one["value"] for one in filters]
        assert "OR" == filters[1]["connector"]
        assert {"accessor": "config:study.value"} in coordinates["columns"]
        assert "study.value" == section["runSets"][0]["grouping"][0]["name"]

    def test_studies_of_two_projects(self, study: Study, tmp_path: Path) -> None:
        """A workspace is one project's."""
        far = study_named(tmp_path / "far", project="elsewhere")
        with pytest.raises(ConfigError, match="elsewhere, tests"):
            build([study, far])


class TestPush:
    @pytest.mark.slow
    def test_again_changes_the_same(self, study: Study, server: Server) -> None:
        """The second push takes the place of the first, with what is new."""
        address = push([study])
        (first,) = server.views.values()
        write_result(study, study.trials[0], scores={"mig": 0.2, "sap": 0.1})
        again = push([load_study(study.folder.root)])
        (second,) = server.views.values()

        assert address == again
        assert f"/{ENTITY}/tests?nw=" in address
        assert ENTITY == WandbFolder(study.folder.root).entity.read_text()
        assert (ENTITY, "tests", "one") == tuple(
            second[key] for key in ("entityName", "projectName", "displayName")
        )
        assert first["name"] == second["name"]
        assert "scores/sap" not in json.dumps(first["spec"])
        assert "scores/sap" in json.dumps(second["spec"])

    def test_where_the_runs_are(
        self, study: Study, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of the entity that is noted, whatever the shell says by now."""
        write_atomically(WandbFolder(study.folder.root).entity, "team")
        monkeypatch.setenv("WANDB_ENTITY", "others")
        push([study])
        (view,) = server.views.values()

        assert ("team", "tests") == (view["entityName"], view["projectName"])

    @pytest.mark.slow
    def test_two_studies_have_their_own(self, study: Study, other: Study, server: Server) -> None:
        """Beside those of each."""
        push([study])
        push([study, other])

        assert ["one", "one and two"] == [view["displayName"] for view in server.views.values()]

    def test_no_key(self, study: Study, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is said, with what to do; nothing is sent."""
        monkeypatch.delenv("WANDB_API_KEY")
        with pytest.raises(ConfigError, match="`wandb login`"):
            push([study])
        assert {} == server.views


def test_command(study: Study, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what is in the workspace; only when asked to it is pushed."""
    typed = entry.parser(["workspace"]).parse_args(["workspace", str(study.folder.root)])
    assert 0 == typed.run(typed)
    said = capsys.readouterr().out

    assert "1 parallel-coordinates plot, 1 parameter-importance plot\nEach score: " in said
    assert "--push" in said
    assert {} == server.views


def test_private_names_hold_for_this_version(study: Study) -> None:
    """Of wandb-workspaces 0.4: with another, look whether there are public ones by now."""
    assert version("wandb-workspaces").startswith("0.4.")
    made = build([study])

    assert isinstance(made._internal_name, str)
    assert isinstance(made._internal_id, str)
    assert callable(made._to_model)
    assert callable(type(made)._from_model)
