"""Pictures of a trial as text that a page can hold, and what its script shows with them."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from bvae.metrics.scores import score_named
from bvae.trial import TrialFolder
from sweeps.analysis.summary import ConfigurationEntry, Summary
from sweeps.labels import interval, number, score_label, score_text, seeds

TYPES = {".png": "image/png", ".gif": "image/gif"}


class ConfigurationData(TypedDict):
    """A configuration in the viewer: its name, what hovering shows, and its trials."""

    title: str
    scores: dict[str, str]
    summary: str
    note: str
    trials: list[dict[str, str | int]]


@dataclass(frozen=True)
class ViewerData:
    """Every configuration in the order of their numbers; `pictures` are by slug and kind."""

    configurations: Sequence[ConfigurationData]
    pictures: Mapping[str, Mapping[str, str]]


def viewer_data(read: Summary, *, embed_all: bool = False) -> ViewerData:
    """Return every configuration, and with `embed_all` the pictures of all trials."""
    configurations = [_configuration(read, configuration) for configuration in read.configurations]
    return ViewerData(configurations, _all_pictures(read) if embed_all else {})


def _all_pictures(read: Summary) -> dict[str, dict[str, str]]:
    found = {trial.slug: pictures_of(read.study.trial_folder(trial.slug)) for trial in read.trials}
    return {slug: pictures for slug, pictures in found.items() if pictures}


def _configuration(read: Summary, configuration: ConfigurationEntry) -> ConfigurationData:
    facet = f"{configuration.facet}, " if configuration.facet else ""
    recon = read.scores["recon"][configuration.number].mean
    return ConfigurationData(
        title=f"{facet}β {number(configuration.beta)}, {configuration.latent_dim} latents",
        scores={name: _in_words(read, configuration, name) for name in read.score_names},
        summary=" · ".join(
            f"{score_label(name)} {score_text(read.scores[name][configuration.number].mean)}"
            for name in read.score_names
            if score_named(name).representation == "mean"
        ),
        note=f"reconstruction {number(recon, digits=4)} nats, "
        f"{number(configuration.active_latents)} active latents",
        trials=_trials(read, configuration),
    )


def _in_words(read: Summary, configuration: ConfigurationEntry, name: str) -> str:
    score, untrained = (
        read.scores[name][configuration.number],
        read.untrained_level(configuration, name),
    )
    between = interval(score.low, score.high)
    text = f"{score_label(name)} {score_text(score.mean)} ({between}; {seeds(score.n, name)})"
    return text if untrained is None else f"{text}\nuntrained {score_text(untrained.mean)}"


def _trials(read: Summary, configuration: ConfigurationEntry) -> list[dict[str, str | int]]:
    """Return the trials of a configuration, the complete ones first: they have pictures."""
    ordered = sorted(read.trials_of(configuration), key=lambda t: (t.state != "complete", t.seed))
    return [
        {
            "slug": trial.slug,
            "seed": trial.seed,
            "state": trial.state,
            "score": score_text(trial.values[read.objective]),
        }
        for trial in ordered
    ]


def pictures_of(trial: Path) -> dict[str, str]:
    """Return the pictures in a trial folder as `data:` addresses, by kind."""
    media = TrialFolder(trial).media
    paths = {
        "reconstructions": media.reconstructions,
        "traversal": media.traversal,
        "animation": media.traversal_gif,
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
