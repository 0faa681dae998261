"""Every chart of the page, drawn from a summary: which configurations go where."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bvae.exceptions import ConfigError
from bvae.files import replace_atomically
from sweeps.analysis.summary import ConfigurationEntry, Summary
from sweeps.labels import interval, number, score_label, score_text, seeds
from sweeps.report import charts
from sweeps.report.charts import AXES, OF_A_SCORE, Box, Mark, Seed, Trace
from sweeps.report.templates import NotYet
from sweeps.report.vega import Chart, Spec

WIDE_PX, NARROW_PX, HALF_PX = 820, 350, 420


@dataclass(frozen=True)
class Drawing:
    """The chart of one facet: `specs` has it by axis, `by_score` what differs by score.

    The first of each is shown until another is chosen.
    """

    facet: str
    specs: Mapping[str, Spec]
    by_score: Mapping[str, Spec]

    def svg(self, width_px: int) -> str:
        """Return the first one as SVG, for readers without JavaScript."""
        spec, own = next(iter(self.specs.values())), next(iter(self.by_score.values()))
        return Chart({"width": width_px} | spec | own).svg()


def drawing(
    facet: str, by_score: Mapping[str, Spec], by_axis: Mapping[str, Spec] | None = None
) -> Drawing:
    """Return charts by score, and the first of them by axis, as one drawing.

    What they share is kept once.
    """
    by_axis = by_axis or {"": next(iter(by_score.values()))}
    return Drawing(
        facet,
        {x: _without(spec, OF_A_SCORE) for x, spec in by_axis.items()},
        {
            score: {key: spec[key] for key in OF_A_SCORE if key in spec}
            for score, spec in by_score.items()
        },
    )


def _without(spec: Spec, keys: Sequence[str]) -> Spec:
    return {key: value for key, value in spec.items() if key not in keys}


def figure(read: Summary, name: str, *, score: str | None = None) -> Chart:
    """Return one chart of a study; see `LoadedStudy.figure`."""
    drawn: dict[str, Callable[[str], Spec]] = {
        "curve": lambda facet: _curve(read, facet, _lines(read, wanted), score=wanted, x="beta"),
        "heat_map": lambda facet: _heat(read, facet, score=wanted),
        "tradeoff": lambda facet: _tradeoff(read, facet, score=wanted),
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
    spec = drawn[name](facet)
    about = [facet] if facet else []
    if name == "curve":
        about.append("means over seeds, bars: 95 % intervals, dots: seeds, ring: the best")
    width = WIDE_PX if name == "curve" else HALF_PX
    return Chart({"width": width} | spec | {"title": {"text": spec["title"], "subtitle": about}})


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


def _save(chart: Chart, path: Path) -> Path:
    replace_atomically(path, chart.save)
    return path


def curves(read: Summary) -> list[Drawing] | NotYet:
    """Draw the curve of every score over β and β_norm, a drawing for each facet."""
    if not read.charted:
        return NotYet("No trial is complete yet, so there is no curve to draw.")
    lines = {score: _lines(read, score) for score in read.charted}
    first, own = next(iter(lines.items()))
    return [
        drawing(
            facet,
            {score: _curve(read, facet, lines[score], score=score, x="beta") for score in lines},
            {x: _curve(read, facet, own, score=first, x=x) for x in AXES},
        )
        for facet in read.facets
    ]


def heat_maps(read: Summary) -> list[Drawing] | None:
    """Draw β × latent size as colours by every score, and the reconstruction to stand beside it."""
    if len(read.configurations) < 2 or not read.charted:
        return None
    return [
        drawing(facet, {name: _heat(read, facet, score=name) for name in names})
        for facet in read.facets
        for names in (read.charted, ["recon"])
        if any(read.scored(facet, name) for name in names)
    ]


def tradeoffs(read: Summary) -> list[Drawing] | None:
    """Draw every score against the reconstruction."""
    if len(read.configurations) < 2 or not read.charted:
        return None
    return [
        drawing(facet, {score: _tradeoff(read, facet, score=score) for score in read.charted})
        for facet in read.facets
        if read.scored(facet, "recon")
    ]


def curve_line(
    read: Summary, configurations: Sequence[ConfigurationEntry], *, label: str, score: str
) -> Trace:
    """Return the line of one latent size, with its single seeds and the untrained baseline."""
    untrained = read.untrained_level(configurations[0], score) if configurations else None
    return Trace(
        label,
        [_mark(read, configuration, score=score) for configuration in configurations],
        [
            Seed(configuration.beta, configuration.beta_norm, trial.values[score])
            for configuration in configurations
            for trial in read.trials_of(configuration)
            if trial.state == "complete" and math.isfinite(trial.values[score])
        ],
        untrained=math.nan if untrained is None else untrained.mean,
    )


def words(read: Summary, configuration: ConfigurationEntry, score: str) -> str:
    """Say what is known of a configuration by a score, in lines."""
    found = read.scores[score][configuration.number]
    untrained = read.untrained_level(configuration, score)
    recon = read.scores["recon"][configuration.number].mean
    scored = f"{score_label(score)} {score_text(found.mean)}"
    said = [
        title(configuration),
        f"{scored} ({interval(found.low, found.high)}; {seeds(found.n, score)})",
        f"reconstruction {number(recon, digits=4)} nats, "
        f"{number(configuration.active_latents)} active latents",
    ]
    if untrained is not None:
        said.append(f"untrained {score_text(untrained.mean)}")
    return "\n".join(said if score != "recon" else [said[0], said[2]])


def title(configuration: ConfigurationEntry) -> str:
    """Return what a configuration is called on the page."""
    facet = f"{configuration.facet}, " if configuration.facet else ""
    return f"{facet}β {number(configuration.beta)}, {configuration.latent_dim} latents"


def _curve(
    read: Summary, facet: str, lines: Mapping[str, list[Trace]], *, score: str, x: str
) -> Spec:
    """Return the chart of one facet; the lines of all facets share its vertical axis."""
    return charts.curve(
        lines[facet],
        title=score_label(score),
        x=x,
        ticks=sorted({getattr(one, x) for one in read.configurations if one.facet == facet}),
        beside=[line for other, own in lines.items() if other != facet for line in own],
    )


def _lines(read: Summary, score: str) -> dict[str, list[Trace]]:
    """Return the lines of every facet."""
    return {
        facet: [
            curve_line(read, configurations, label=label, score=score)
            for label, configurations in _by_latent_dim(read, read.scored(facet, score))
        ]
        for facet in read.facets
    }


def _mark(read: Summary, configuration: ConfigurationEntry, *, score: str) -> Mark:
    found = read.scores[score][configuration.number]
    return Mark(
        configuration=configuration.number,
        beta=configuration.beta,
        beta_norm=configuration.beta_norm,
        y=found.mean,
        low=found.low,
        high=found.high,
        recon=read.scores["recon"][configuration.number].mean,
        hollow=configuration.collapsed,
        ringed=configuration in read.best_by(score),
        words=words(read, configuration, score),
    )


def _by_latent_dim(
    read: Summary, configurations: Sequence[ConfigurationEntry]
) -> Iterator[tuple[str, list[ConfigurationEntry]]]:
    """Group configurations into lines, an empty one where a latent size of the study has none.

    So each size has its colour in every chart.
    """
    for latent_dim in sorted({one.latent_dim for one in read.configurations}):
        own = [one for one in configurations if one.latent_dim == latent_dim]
        yield f"{latent_dim} latents", own


def _heat(read: Summary, facet: str, *, score: str) -> Spec:
    is_error = score == "recon"
    return charts.heat_map(
        [
            Box(
                one.number,
                one.beta,
                one.latent_dim,
                read.scores[score][one.number].mean,
                words(read, one, score),
            )
            for one in read.configurations
            if one.facet == facet
        ],
        title=score_label(score),
        beside=[read.scores[score][one.number].mean for one in read.configurations],
        low_is_good=is_error,
        digits=0 if is_error else 2,
    )


def _tradeoff(read: Summary, facet: str, *, score: str) -> Spec:
    lines = [
        curve_line(read, own, label=label, score=score)
        for label, own in _by_latent_dim(read, read.scored(facet, score, "recon"))
    ]
    return charts.tradeoff(lines, title=f"{score_label(score)} against reconstruction")
