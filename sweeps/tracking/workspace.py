"""A W&B workspace over the runs of a study, or of two side by side.

It is built and checked without a server. A push is noted in the study's folder, so that the next
one changes the same workspace.
"""

import json
from collections import Counter
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
from bvae.metrics.scores import score_named
from sweeps.analysis.table import score_names
from sweeps.labels import counted
from sweeps.study.study import Study

MAX_RUNS = 100
"""Lines in a panel: what W&B draws at most; its default would leave out most of a study."""

LATENTS_SHOWN = 16

KINDS = {
    "CustomChart": "curve",
    "LinePlot": "line plot",
    "MediaBrowser": "media panel",
    "ParallelCoordinatesPlot": "parallel-coordinates plot",
    "ParameterImportancePlot": "parameter-importance plot",
    "RunComparer": "run comparer",
    "ScatterPlot": "scatter plot",
}
"""What people call the panels that are used here, by their class."""

Panels = list[panels.PanelTypes]


@dataclass(frozen=True)
class Pushed:
    """Where a workspace is on a server."""

    entity: str
    project: str
    name: str
    view_id: str


def build(studies: Sequence[Study], *, entity: str = "") -> ws.Workspace:
    """Return the workspace of one study or two; its runs are grouped by configuration.

    So a line is the mean over seeds, in a band from the lowest to the highest.

    Raises:
        ConfigError: the studies are tracked in different projects.
    """
    projects = {str(study.manifest.tracker.project) for study in studies}
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
            _section("Which beta", _curve_panels(studies)),
            _section("Each score", _score_panels(studies)),
            _section("Over the steps", _step_panels(studies)),
            _section("KL of each latent", _kl_panels(studies)),
            _section("Pictures", _picture_panels()),
            _section("Compare runs", [panels.RunComparer(diff_only="split")]),
        ],
        settings=ws.WorkspaceSettings(x_axis=tracking.STEP, max_runs=MAX_RUNS),
        runset_settings=ws.RunsetSettings(
            filters=_filters(names),
            groupby=[expr.Config(key) for key in _configuration(studies)],
            pinned_columns=[
                *(f"config:{key}.value" for key in ("latent_dim", "beta", "seed")),
                f"summary:scores/{studies[0].manifest.objective}",
            ],
        ),
    )
    _check(found)
    return found


def outline(workspace: ws.Workspace) -> Iterator[str]:
    """Yield a line for each section: what kinds of panels are in it, and how many of each."""
    for section in workspace.sections:
        kinds = Counter(KINDS[type(panel).__name__] for panel in section.panels)
        yield f"{section.name}: {', '.join(counted(n, kind) for kind, n in kinds.items())}"


def push(studies: Sequence[Study]) -> str:
    """Write the workspace to the server, anew or over what was pushed before; return its address.

    Raises:
        ConfigError: there is no usable key, or the server does not answer or refuses.
    """
    tracking.check_login()
    first = studies[0]
    entity = tracking.entity_of(first.folder.root, first.manifest.tracker)
    workspace = build(studies, entity=entity)
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


def _section(name: str, shown: Panels) -> ws.Section:
    layout = ws.SectionLayoutSettings(columns=2, rows=(len(shown) + 1) // 2)
    return ws.Section(name=name, panels=shown, is_open=True, layout_settings=layout)


def _curve_panels(studies: Sequence[Study]) -> Panels:
    """The curve as the report has it, all axes side by side, and which of them matters."""
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
    importance = panels.ParameterImportancePlot(with_respect_to=f"scores/{scores[0]}")
    return [curve, charts, _coordinates(studies, scores), importance]


def _score_panels(studies: Sequence[Study]) -> Panels:
    """Each score against β, by latent size."""
    return [
        panels.ScatterPlot(
            title=f"{score_named(score).label} against beta, coloured by latent size",
            x=panels.Config("beta"),
            y=panels.SummaryMetric(f"scores/{score}"),
            z=panels.Config("latent_dim"),
            log_x=True,
        )
        for score in _scores(studies)
    ]


def _coordinates(studies: Sequence[Study], scores: Sequence[str]) -> panels.ParallelCoordinatesPlot:
    columns = [
        *(
            panels.ParallelCoordinatesPlotColumn(panels.Config(key), log=key == "beta" or None)
            for key in [*_configuration(studies), "beta_norm"]
        ),
        *(
            panels.ParallelCoordinatesPlotColumn(panels.SummaryMetric(f"scores/{score}"))
            for score in scores
        ),
    ]
    return panels.ParallelCoordinatesPlot(title="beta, latents, scores", columns=columns)


def _configuration(studies: Sequence[Study]) -> list[str]:
    """Return the keys of the runs' config that tell configurations apart, whatever the seed."""
    axes = dict.fromkeys(axis for study in studies for axis in study.manifest.axes)
    groups = {group for study in studies for group in study.manifest.groups}
    named = [f"{axis}.name" if axis in groups else axis for axis in axes]
    return [*(["study"] if len(studies) > 1 else []), "latent_dim", "beta", *named]


def _step_panels(studies: Sequence[Study]) -> Panels:
    """The validation score, the losses and the KL over training, a line for each configuration."""
    keys = ("scores/mig", "val/loss", "val/recon", "val/kl", "kl/active_units")
    has_factors = any(study.manifest.lattice is not None for study in studies)
    return [
        panels.LinePlot(
            title=f"{key}: mean and range of the seeds",
            x=tracking.STEP,
            y=[key],
            aggregate=True,
            groupby_aggfunc="mean",
            groupby_rangefunc="minmax",
        )
        for key in keys[0 if has_factors else 1 :]
    ]


def _kl_panels(studies: Sequence[Study]) -> Panels:
    most = max(int(str(trial.values["latent_dim"])) for study in studies for trial in study.trials)
    latents = [panels.Metric(f"kl/z{m:02d}") for m in range(min(most, LATENTS_SHOWN))]
    return [panels.LinePlot(title="KL of each latent, nats", x=tracking.STEP, y=[*latents])]


def _picture_panels() -> Panels:
    keys = ("media/reconstructions", "media/traversal", "media/traversal_gif", "media/factor_map")
    return [panels.MediaBrowser(media_keys=[key], num_columns=2) for key in keys]


def _scores(studies: Sequence[Study]) -> list[str]:
    """Return the names of the scores, objectives in front, without variants of one another."""
    objectives = [study.manifest.objective for study in studies]
    names = [name for study in studies for name in score_names(study)]
    means = [name for name in names if score_named(name).representation == "mean"]
    return list(dict.fromkeys([*objectives, *means]))


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
