"""The configuration that is looked at: its pictures, its trials, what each latent holds.

A page is made with the best one; its script shows any other that is chosen.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from bvae.trial import TrialFolder
from sweeps.analysis.budget import falling
from sweeps.analysis.summary import ConfigurationEntry, Summary, TrialEntry
from sweeps.labels import score_text
from sweeps.report import charts
from sweeps.report.drawings import title, words
from sweeps.report.learning import logged_columns, series_title
from sweeps.report.templates import NotYet
from sweeps.report.vega import Spec

TYPES = {".png": "image/png", ".gif": "image/gif"}


class TrialData(TypedDict):
    """A trial: its scores, KL by latent (nats), and by column what it logged as [steps, values]."""

    slug: str
    seed: int
    state: str
    scores: Mapping[str, str]
    kl: Sequence[float]
    active: int
    held_out: bool
    learning: Mapping[str, Sequence[Sequence[float]]]


class ConfigurationData(TypedDict):
    """A configuration: its name, where it lies, what each score says, and its trials."""

    title: str
    facet: str
    beta: float
    latents: int
    words: Mapping[str, str]
    falling: str
    trials: Sequence[TrialData]


@dataclass(frozen=True)
class PageData:
    """What the page's script knows.

    `pictures` are by slug and kind, of the best trials or of all; `kl` and `learning` are charts
    without their numbers, `titles` what stands above the learning curves of a column. `number` is
    the configuration shown first, `slug` its best trial.
    """

    configurations: Sequence[ConfigurationData]
    pictures: Mapping[str, Mapping[str, str]]
    kl: Spec
    learning: Spec
    titles: Mapping[str, str]
    number: int
    slug: str

    @property
    def shown(self) -> ConfigurationData:
        """The configuration shown first."""
        return self.configurations[self.number]

    @property
    def trial(self) -> TrialData:
        """The trial shown first."""
        return next(one for one in self.shown["trials"] if one["slug"] == self.slug)


def page_data(read: Summary, *, embed_all: bool = False) -> PageData | NotYet:
    """Return every configuration, with the pictures of the best trials or, asked for, of all."""
    first = read.overall or _first_with_a_trial(read)
    if first is None:
        return NotYet("No trial is complete yet, so there is nothing to look at.")
    best = {one.number: read.best_trial(one).slug for one in {first, *read.best}}
    shown = [trial.slug for trial in read.trials] if embed_all else list(best.values())
    pictures = {slug: pictures_of(read.study.trial_folder(slug)) for slug in shown}
    return PageData(
        configurations=[_configuration(read, one) for one in read.configurations],
        pictures={slug: own for slug, own in pictures.items() if own},
        kl=charts.kl([0.0], n_active=0),
        learning=charts.learning(title=""),
        titles={column: series_title(column) for column in logged_columns(read)},
        number=first.number,
        slug=best[first.number],
    )


def _first_with_a_trial(read: Summary) -> ConfigurationEntry | None:
    done = {trial.configuration for trial in read.trials if trial.state == "complete"}
    return next((one for one in read.configurations if one.number in done), None)


def _configuration(read: Summary, configuration: ConfigurationEntry) -> ConfigurationData:
    return ConfigurationData(
        title=title(configuration),
        facet=configuration.facet,
        beta=configuration.beta,
        latents=configuration.latent_dim,
        words={score: words(read, configuration, score) for score in read.charted},
        falling=falling(read, configuration),
        trials=_trials(read, configuration),
    )


def _trials(read: Summary, configuration: ConfigurationEntry) -> list[TrialData]:
    """Return the trials of a configuration, the complete ones first: they have pictures."""
    ordered = sorted(read.trials_of(configuration), key=lambda t: (t.state != "complete", t.seed))
    return [_trial(read, trial) for trial in ordered]


def _trial(read: Summary, trial: TrialEntry) -> TrialData:
    result: Any = read.study.results.get(trial.slug)
    held_out = (result.data.get("held_out") or {"images": 0}) if result else {"images": 0}
    return TrialData(
        slug=trial.slug,
        seed=trial.seed,
        state=trial.state,
        scores={score: score_text(trial.values[score]) for score in read.charted},
        kl=[round(one, 4) for one in result.kl_per_latent] if result else [],
        active=(result.active_latents or 0) if result else 0,
        held_out=bool(held_out["images"]),
        learning={
            column: [curve.steps, [float(f"{one:.4g}") for one in curve.values]]
            for column, curve in read.learning[trial.slug].items()
        },
    )


def pictures_of(trial: Path) -> dict[str, str]:
    """Return the pictures in a trial folder as `data:` addresses, by kind."""
    media = TrialFolder(trial).media
    paths = {
        "animation": media.traversal_gif,
        "reconstructions": media.reconstructions,
        "traversal": media.traversal,
    }
    found = {kind: embed(path) for kind, path in paths.items()}
    return {kind: address for kind, address in found.items() if address is not None}


def embed(path: Path) -> str | None:
    """Return an image file as a `data:` address, None if it is not there."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    return f"data:{TYPES[path.suffix]};base64,{base64.b64encode(data).decode()}"
