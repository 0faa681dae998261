"""Every chart of the page, drawn from a digest: which configurations go where."""

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from bvae.exceptions import ConfigError
from bvae.files import replace_atomically
from bvae.metrics.scores import score_named
from sweeps.analysis.summary import ConfigurationEntry, Summary
from sweeps.labels import score_label
from sweeps.report import canvas, charts
from sweeps.report.canvas import HALF, WIDE, Box, ChartSize, Mark, Trace
from sweeps.report.templates import NotYet

AXES = {"beta": "β", "beta_norm": "β_norm = β · latents / input values"}


@dataclass(frozen=True)
class Drawing:
    """A chart of one facet as SVG; `shape` is wide, narrow (instead of wide on a phone) or half."""

    facet: str
    shape: str
    svg: Markup


@dataclass(frozen=True)
class Choice:
    """The charts to show for one score (any if empty) and one axis (any if empty)."""

    label: str
    score: str
    x: str
    shown: bool
    drawings: list[Drawing]


def figure(read: Summary, name: str, *, score: str | None = None) -> canvas.Chart:
    """Return one chart of a study; see `LoadedStudy.figure`."""
    drawn: dict[str, Callable[..., canvas.Canvas]] = {
        "curve": functools.partial(_curve, x="beta", size=WIDE),
        "heat_map": _heat,
        "tradeoff": _tradeoff,
    }
    wanted = score or read.objective
    known = [
        one for one in (*read.score_names, "recon") if any(level.n for level in read.scores[one])
    ]
    if name not in drawn:
        raise ConfigError(f"{name}: no such chart; expected one of {', '.join(drawn)}")
    if wanted not in known:
        raise ConfigError(f"{wanted}: no result has it; expected one of {', '.join(known) or '-'}")
    facet = read.overall.facet if read.overall else read.facets[0]
    return drawn[name](read, facet, score=wanted).figure


def draw_curve(read: Summary, path: Path, *, score: str | None = None) -> Path:
    """Write the inverted-U chart of a study as PNG or SVG, by the path's suffix.

    Args:
        read: the study as it stands on disk.
        path: where to; its folder is made.
        score: the objective by default.

    With further axes, the facet of the best configuration is drawn.
    """
    return _save(figure(read, "curve", score=score), path)


def draw_heat_map(read: Summary, path: Path) -> Path:
    """Write the objective by β and latent size as PNG or SVG, as `draw_curve` does."""
    return _save(figure(read, "heat_map"), path)


def _save(chart: canvas.Chart, path: Path) -> Path:
    replace_atomically(path, lambda temporary: canvas.save(chart, temporary))
    return path


def curves(read: Summary) -> list[Choice] | NotYet:
    """Draw the curve of every score over β and β_norm.

    Several facets stand side by side; scores of other representations are drawn small, for few
    choose them.
    """
    if not read.charted:
        return NotYet("No trial is complete yet, so there is no curve to draw.")
    on = functools.cache(charts.CurveCanvas)
    return [
        Choice(
            label=f"{score_label(score)} against {AXES[x]}",
            score=score,
            x=x,
            shown=i == 0 and x == "beta",
            drawings=[
                Drawing(facet, shape, as_markup(chart, name=f"c{i}.{j}.{k}{shape[0]}"))
                for k, facet in enumerate(read.facets)
                for shape, size in _shapes(read, score).items()
                for chart in [
                    _curve(read, facet, score=score, x=x, size=size, of_facets=lines, on=on)
                ]
            ],
        )
        for i, score in enumerate(read.charted)
        for j, x in enumerate(AXES)
        for lines in [_lines(read, score=score, x=x)]
    ]


def _shapes(read: Summary, score: str) -> dict[str, ChartSize]:
    if len(read.facets) > 1 or score_named(score).representation != "mean":
        return {"half": HALF}
    return {"wide": WIDE, "narrow": HALF}


def heat_maps(read: Summary) -> list[Choice] | None:
    """Draw β × latent size as colours: every score, and the reconstruction to stand beside it."""
    if len(read.configurations) < 2 or not read.charted:
        return None
    on = functools.cache(charts.HeatCanvas)
    return [
        Choice(
            label=f"{score_label(name)} by β and latent size",
            score="" if name == "recon" else name,
            x="",
            shown=i == 0 or name == "recon",
            drawings=[
                Drawing(facet, "half", as_markup(chart, name=f"h{i}.{k}"))
                for k, facet in enumerate(read.facets)
                if read.scored(facet, name)
                for chart in [_heat(read, facet, score=name, on=on)]
            ],
        )
        for i, name in enumerate([*read.charted, "recon"])
    ]


def tradeoffs(read: Summary) -> list[Choice] | None:
    """Draw every score against the reconstruction."""
    if len(read.configurations) < 2 or not read.charted:
        return None
    on = functools.cache(charts.TradeoffCanvas)
    return [
        Choice(
            label=f"{score_label(score)} against reconstruction",
            score=score,
            x="",
            shown=i == 0,
            drawings=[
                Drawing(facet, "half", as_markup(chart, name=f"t{i}.{k}"))
                for k, facet in enumerate(read.facets)
                if read.scored(facet, score, "recon")
                for chart in [_tradeoff(read, facet, score=score, on=on)]
            ],
        )
        for i, score in enumerate(read.charted)
    ]


def as_markup(chart: canvas.Canvas, *, name: str) -> Markup:
    """Return a chart for the page as it is: matplotlib escapes the texts in it, but not `name`."""
    return Markup(chart.svg(name=name))


def curve_chart(
    lines: Sequence[Trace],
    *,
    score: str,
    x: str,
    ticks: Sequence[float],
    size: ChartSize,
    beside: Sequence[Trace] = (),
    on: Callable[..., charts.CurveCanvas] = charts.CurveCanvas,
) -> charts.CurveCanvas:
    """Return the inverted-U chart.

    `beside` are lines of charts that share its vertical axis; `on` gives the canvas, the same for
    scores that can share it.
    """
    chart = on(
        labels=tuple(line.label for line in lines),
        x_label=AXES[x],
        ticks=tuple(ticks),
        size=size,
        untrained=any(math.isfinite(line.untrained) for line in lines),
    )
    chart.draw(lines, title=score_label(score), beside=beside)
    return chart


def curve_line(
    read: Summary, configurations: Sequence[ConfigurationEntry], *, label: str, score: str, x: str
) -> Trace:
    """Return the line of one latent size, with its single seeds and the untrained baseline."""
    untrained = read.untrained_level(configurations[0], score) if configurations else None
    return Trace(
        label,
        [
            _mark(read, configuration, score=score, x=getattr(configuration, x))
            for configuration in configurations
        ],
        [
            (getattr(configuration, x), trial.values[score])
            for configuration in configurations
            for trial in read.trials_of(configuration)
            if trial.state == "complete" and math.isfinite(trial.values[score])
        ],
        untrained=math.nan if untrained is None else untrained.mean,
    )


def _lines(read: Summary, *, score: str, x: str) -> dict[str, list[Trace]]:
    """Return the lines of every facet: they share an axis."""
    return {
        facet: [
            curve_line(read, configurations, label=label, score=score, x=x)
            for label, configurations in _by_latent_dim(read.scored(facet, score))
        ]
        for facet in read.facets
    }


def _curve(
    read: Summary,
    facet: str,
    *,
    score: str,
    x: str,
    size: ChartSize,
    of_facets: Mapping[str, list[Trace]] | None = None,
    on: Callable[..., charts.CurveCanvas] = charts.CurveCanvas,
) -> charts.CurveCanvas:
    of_facets = of_facets or _lines(read, score=score, x=x)
    beside = [line for other, lines in of_facets.items() if other != facet for line in lines]
    ticks = sorted(
        {
            getattr(configuration, x)
            for configuration in read.configurations
            if configuration.facet == facet
        }
    )
    return curve_chart(
        of_facets[facet], score=score, x=x, ticks=ticks, size=size, beside=beside, on=on
    )


def _mark(read: Summary, configuration: ConfigurationEntry, *, score: str, x: float) -> Mark:
    found = read.scores[score][configuration.number]
    return Mark(
        configuration=configuration.number,
        x=x,
        y=found.mean,
        low=found.low,
        high=found.high,
        hollow=configuration.collapsed,
        ringed=configuration in read.best_by(score),
    )


def _by_latent_dim(
    configurations: Sequence[ConfigurationEntry],
) -> Iterator[tuple[str, list[ConfigurationEntry]]]:
    """Group configurations into lines; the first line's label says what the numbers are."""
    for latent_dim in (
        sizes := sorted({configuration.latent_dim for configuration in configurations})
    ):
        label = f"{latent_dim} latents" if latent_dim == sizes[0] else str(latent_dim)
        yield (
            label,
            [
                configuration
                for configuration in configurations
                if configuration.latent_dim == latent_dim
            ],
        )


def _heat(
    read: Summary,
    facet: str,
    *,
    score: str,
    on: Callable[..., charts.HeatCanvas] = charts.HeatCanvas,
) -> charts.HeatCanvas:
    own = [configuration for configuration in read.configurations if configuration.facet == facet]
    betas = sorted({configuration.beta for configuration in own})
    latent_dims = sorted({configuration.latent_dim for configuration in own})
    boxes = [
        Box(
            configuration.number,
            betas.index(configuration.beta),
            latent_dims.index(configuration.latent_dim),
            read.scores[score][configuration.number].mean,
        )
        for configuration in own
    ]
    chart = on(betas=tuple(betas), latent_dims=tuple(latent_dims))
    is_error = score == "recon"
    title = score_label(score)
    chart.draw(
        boxes,
        title=title,
        beside=[read.scores[score][one.number].mean for one in read.configurations],
        low_is_good=is_error,
        digits=0 if is_error else 2,
    )
    return chart


def _tradeoff(
    read: Summary,
    facet: str,
    *,
    score: str,
    on: Callable[..., charts.TradeoffCanvas] = charts.TradeoffCanvas,
) -> charts.TradeoffCanvas:
    configurations = read.scored(facet, score, "recon")
    recon = {
        configuration.number: read.scores["recon"][configuration.number].mean
        for configuration in configurations
    }
    lines = [
        Trace(
            label,
            [
                _mark(read, configuration, score=score, x=recon[configuration.number])
                for configuration in own
            ],
        )
        for label, own in _by_latent_dim(configurations)
    ]
    betas = {configuration.number: configuration.beta for configuration in configurations}
    chart = on(
        labels=tuple(line.label for line in lines),
        betas=tuple(betas.values()),
        recon=tuple(recon.values()),
    )
    chart.draw(
        lines,
        betas=betas,
        front=pareto_front([(m.configuration, m.x, m.y) for line in lines for m in line.marks]),
        title=f"{score_label(score)} against reconstruction",
        y_label=score_label(score),
    )
    return chart


def pareto_front(trials: Sequence[tuple[int, float, float]]) -> list[int]:
    """Return the names of the trials (name, cost, score) that no other beats in both, by cost.

    >>> pareto_front([(0, 10, 0.1), (1, 20, 0.3), (2, 30, 0.2)])
    [0, 1]
    """
    front: list[int] = []
    highest = -math.inf
    for name, _, score in sorted(trials, key=lambda trial: (trial[1], -trial[2])):
        if score > highest:
            front.append(name)
            highest = score
    return front
