"""A W&B workspace over the runs of a study, or of two side by side.

It is built and checked without a server. A push is noted in the study's folder, so that the next
one changes the same workspace.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from wandb_workspaces import expr
from wandb_workspaces.reports.v2 import interface as panels
from wandb_workspaces.workspaces import interface as ws
from wandb_workspaces.workspaces import internal

from bvae import tracking
from bvae.exceptions import ConfigError
from bvae.files import write_atomically
from sweeps.analysis.table import score_names
from sweeps.study.study import Study

MAX_RUNS = 100
"""Lines in a panel: what W&B draws at most; its default would leave out most of a study."""

MAX_SCORES = 6
"""Scores that have a panel and a column; the objective is the first."""

LATENTS_SHOWN = 16

Panels = list[panels.PanelTypes]


@dataclass(frozen=True)
class Pushed:
    """Where a workspace is on a server."""

    entity: str
    project: str
    name: str
    view_id: str


def build(studies: Sequence[Study], *, entity: str = "") -> ws.Workspace:
    """Return the workspace of one study or two.

    Raises:
        ConfigError: the studies are tracked in different projects.
    """
    projects = {study.manifest.tracker.project for study in studies}
    if len(projects) > 1:
        raise ConfigError(
            f"expected studies of one W&B project, but got {', '.join(sorted(projects))}"
        )
    names = [study.name for study in studies]
    found = ws.Workspace(
        entity=entity,
        project=projects.pop(),
        name=" and ".join(names),
        sections=[
            _section("Which beta", _curve_panels(studies), rows=3),
            _section("KL of each latent", _kl_panels(studies), rows=2),
            _section("Pictures", _picture_panels(), rows=2),
            _section("Compare runs", [panels.RunComparer(diff_only="split")], rows=1),
        ],
        settings=ws.WorkspaceSettings(x_axis=tracking.STEP, max_runs=MAX_RUNS),
        runset_settings=ws.RunsetSettings(
            filters=_filters(names),
            pinned_columns=["config:beta.value", "config:latent_dim.value", "config:seed.value"],
        ),
    )
    _check(found)
    return found


def outline(workspace: ws.Workspace) -> Iterator[str]:
    """Yield a line for each section: what is in it."""
    for section in workspace.sections:
        kinds = [type(panel).__name__ for panel in section.panels]
        yield f"{section.name}: {', '.join(kinds)}"


def push(studies: Sequence[Study]) -> str:
    """Write the workspace to the server, anew or over what was pushed before; return its address.

    Raises:
        ConfigError: there is no usable key, or the server does not answer or refuses.
    """
    tracking.check_login()
    workspace = build(studies, entity=tracking.default_entity())
    note = _note(studies)
    before = _pushed(note)
    if before is not None and (before.entity, before.project) == (
        workspace.entity,
        workspace.project,
    ):
        _set_identity(workspace, before.name, before.view_id)
    with tracking.speaking():
        try:
            workspace.save()  # type: ignore[no-untyped-call]  # it has no annotations
            address = str(workspace.url)
        except Exception as error:  # wandb-workspaces lets through whatever its client raises
            raise ConfigError(f"the workspace was not taken: {error}") from error
    now = Pushed(workspace.entity, workspace.project, *_identity(workspace))
    write_atomically(note, json.dumps(asdict(now)))
    return address


def _filters(names: Sequence[str]) -> expr.Or:
    return expr.Or(*(expr.Metric("Group") == name for name in names))


def _section(name: str, shown: Panels, *, rows: int) -> ws.Section:
    layout = ws.SectionLayoutSettings(columns=2, rows=rows)
    return ws.Section(name=name, panels=shown, is_open=True, layout_settings=layout)


def _curve_panels(studies: Sequence[Study]) -> Panels:
    """The curve as the report has it, each run as a trial, and all axes side by side."""
    scores = _scores(studies)
    curve = panels.CustomChart(
        query={"summaryTable": {"tableKey": "objective_curve"}},
        chart_name="wandb/line/v0",
        chart_fields={"x": "log10_beta", "y": "mean", "stroke": "line"},
        chart_strings={"title": f"{scores[0]} against log beta, by latent size"},
    )
    charts = panels.MediaBrowser(
        title="Curve and heat map", media_keys=["charts/curve", "charts/heat_map"], num_columns=1
    )
    trials = [
        panels.ScatterPlot(
            title=f"{score} against beta, coloured by latent size",
            x=panels.Config("beta"),
            y=panels.SummaryMetric(f"scores/{score}"),
            z=panels.Config("latent_dim"),
            log_x=True,
        )
        for score in scores
    ]
    return [curve, charts, _coordinates(studies, scores), *trials]


def _coordinates(studies: Sequence[Study], scores: Sequence[str]) -> panels.ParallelCoordinatesPlot:
    axes = dict.fromkeys(axis for study in studies for axis in study.manifest.axes)
    keys = [*(["study"] if len(studies) > 1 else []), "latent_dim", "beta_norm", *axes]
    columns = [
        panels.ParallelCoordinatesPlotColumn(panels.Config("beta"), log=True),
        *(panels.ParallelCoordinatesPlotColumn(panels.Config(key)) for key in keys),
        *(
            panels.ParallelCoordinatesPlotColumn(panels.SummaryMetric(f"scores/{score}"))
            for score in scores
        ),
    ]
    return panels.ParallelCoordinatesPlot(title="beta, latents, scores", columns=columns)


def _kl_panels(studies: Sequence[Study]) -> Panels:
    """Active units and KL by β over training; the KL of single latents; of two studies, each."""
    most = max(int(str(trial.values["latent_dim"])) for study in studies for trial in study.trials)
    latents = [panels.Metric(f"kl/z{m:02d}") for m in range(min(most, LATENTS_SHOWN))]
    by = "study" if len(studies) > 1 else "beta"
    grouped = [
        panels.LinePlot(title=f"{key} by {by}", x=tracking.STEP, y=[key], groupby=panels.Config(by))
        for key in ("kl/active_units", "train/kl", "train/recon")
    ]
    single = panels.LinePlot(title="KL of each latent, nats", x=tracking.STEP, y=[*latents])
    return [*grouped, single]


def _picture_panels() -> Panels:
    keys = ("media/reconstructions", "media/traversal", "media/traversal_gif", "media/factor_map")
    return [panels.MediaBrowser(media_keys=[key], num_columns=2) for key in keys]


def _scores(studies: Sequence[Study]) -> list[str]:
    """Return the names of the first scores, objectives in front."""
    objectives = [study.manifest.objective for study in studies]
    names = [*objectives, *(name for study in studies for name in score_names(study))]
    return list(dict.fromkeys(names))[:MAX_SCORES]


def _note(studies: Sequence[Study]) -> Path:
    ids = "-".join(study.manifest.study_id[:8] for study in studies)
    return studies[0].folder.workspace(ids)


def _pushed(note: Path) -> Pushed | None:
    try:
        return Pushed(**json.loads(note.read_text()))
    except (OSError, ValueError, TypeError):
        return None


# wandb-workspaces 0.4 has no public names for what follows: where a workspace is on a server, and
# its form in which it is sent. A test says for which version they hold.


def _identity(workspace: ws.Workspace) -> tuple[str, str]:
    """Return name and view id of a workspace on its server."""
    return workspace._internal_name, workspace._internal_id


def _set_identity(workspace: ws.Workspace, name: str, view_id: str) -> None:
    """Make the next save write over the view that has this name and id."""
    workspace._internal_name, workspace._internal_id = name, view_id


def sent(workspace: ws.Workspace) -> str:
    """Return what is sent to the server, as JSON."""
    return str(workspace._to_model().model_dump_json(by_alias=True, exclude_none=True))


def _check(workspace: ws.Workspace) -> None:
    """Make sure that what would be sent can be read back; a typing mistake shows here."""
    ws.Workspace._from_model(internal.View.model_validate_json(sent(workspace)))
