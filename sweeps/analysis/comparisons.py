"""Studies compared: their names, what differs in their settings, and in each configuration."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bvae.metrics.scores import score_named
from bvae.metrics.udr import as_independent
from bvae.trial import COORDINATES
from sweeps.analysis.summary import ConfigurationEntry, Summary
from sweeps.statistics.intervals import intervals
from sweeps.study.manifest import Manifest
from sweeps.study.trials import Value, canonical, text

CONDITIONS = ("objective", "protocol", "lattice", "image_size")
"""What a manifest records beside the settings that may change what is best."""

FOLLOW = ("lattice", "image_size")
"""Those that follow from the data."""

HARMLESS = ("threads", "trainer.val_every_n_steps")
"""Settings that do not change which β is best."""

OWN = "own"
"""The name of what the user's own code makes."""

MAX_LISTED = 8  # values of a swept key that are written out

LineKey = tuple[str, int]
"""A facet and a latent size."""


@dataclass(frozen=True)
class KeyDifference:
    """A key, or what else was recorded, and its value in each study, None where there is none.

    `follows` says that it does from another one: from the choice among a config group, from the
    data.
    """

    key: str
    values: tuple[Value, ...]
    follows: bool = False


@dataclass(frozen=True)
class ConfigurationDifference:
    """A configuration of both studies: the means, and second − first over the seeds of both."""

    configuration: ConfigurationEntry
    first: float
    second: float
    difference: float
    low: float
    high: float
    n_shared: int

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


def study_names(folders: Sequence[Path]) -> list[str]:
    """Return a name for each of different folders: its own, and those above that tell it apart.

    >>> study_names([Path("/a/runs/quick"), Path("/b/runs/quick"), Path("/b/runs/long")])
    ['a/runs/quick', 'b/runs/quick', 'long']
    """
    counts = Counter(name for folder in folders for name in _endings(folder))
    return [next(name for name in _endings(folder) if counts[name] == 1) for folder in folders]


def _endings(folder: Path) -> list[str]:
    """Return the endings of a path, the shortest first."""
    parts = folder.parts
    return ["/".join(parts[-n:]) for n in range(1, len(parts))] + [folder.as_posix()]


def key_differences(manifests: Sequence[Manifest]) -> list[KeyDifference]:
    """Return the keys that are not the same in all studies, those that were swept last."""
    swept = list(dict.fromkeys(key for manifest in manifests for key in manifest.axes))
    settings = [manifest.settings for manifest in manifests]
    keys = sorted({key for one in settings for key in one if not _is_below(key, swept)})
    rows = [_row(key, [one.get(key) for one in settings]) for key in keys]
    rows += [
        _row(name, [getattr(manifest, name) for manifest in manifests])
        for name in CONDITIONS
        if name not in keys
    ]
    rows += [
        _row(key, [_tried(manifest, key) for manifest in manifests])
        for key in (*swept, *COORDINATES)
    ]
    found = _differing(rows)
    differing = [row.key for row in found]
    return [replace(row, follows=_follows(row.key, differing)) for row in found]


def _follows(key: str, differing: Sequence[str]) -> bool:
    """Whether a key differs because another one does."""
    choices = [name for name in _choices(key.partition(".")[0]) if name in differing]
    if key in FOLLOW:
        return any(_is_below(other, ["data"]) for other in differing)
    return bool(choices) and key != choices[0]


def _choices(group: str) -> tuple[str, str]:
    """Return the keys that say what was chosen of a config group, the name before `_target_`."""
    return f"{group}.name", f"{group}._target_"


def _is_below(key: str, groups: Sequence[str]) -> bool:
    return any(key == group or key.startswith(f"{group}.") for group in groups)


def record_differences(manifests: Sequence[Manifest]) -> list[KeyDifference]:
    """Return what else was recorded that differs: threads, sources and versions."""
    in_settings = any("threads" in manifest.settings for manifest in manifests)
    names = ["code_version", *([] if in_settings else ["threads"])]
    rows = [_row(name, [getattr(manifest, name) for manifest in manifests]) for name in names]
    packages = {name for manifest in manifests for name in manifest.versions} - {"code"}
    rows += [
        _row(f"version of {name}", [manifest.versions.get(name) for manifest in manifests])
        for name in sorted(packages)
    ]
    return _differing(rows)


def changes(manifests: Sequence[Manifest]) -> list[KeyDifference]:
    """Return the differing keys that may move the best β, where grid and seeds are no key.

    A config group of which another choice was made is one key, whatever else differs in it.
    """
    rows = [row for row in key_differences(manifests) if not row.follows]
    rows = [row for row in rows if row.key not in (*COORDINATES, *HARMLESS)]
    groups = [row.key.partition(".")[0] for row in rows]
    return [
        _row(group, [_choice(one.settings, group) for one in manifests])
        if row.key in _choices(group)
        else row
        for row, group in zip(rows, groups, strict=True)
    ]


def _choice(settings: Mapping[str, object], group: str) -> object:
    """Return what was chosen of a config group: its name, of the user's own what it is made of."""
    name, target = (settings.get(key) for key in _choices(group))
    return target or name if name in (None, OWN) else name


def _row(key: str, values: Sequence[object]) -> KeyDifference:
    return KeyDifference(key, tuple(map(canonical, values)))


def _differing(rows: Sequence[KeyDifference]) -> list[KeyDifference]:
    return [row for row in rows if any(value != row.values[0] for value in row.values)]


def _tried(manifest: Manifest, key: str) -> object:
    """Return the value of a key that some study swept, of several what they are."""
    if key not in (*manifest.axes, *COORDINATES):
        return manifest.settings.get(key, _choice(manifest.settings, key))
    values = {canonical(trial[key]) for trial in manifest.trials}
    numbers = sorted(value for value in values if isinstance(value, int | float))
    others = sorted(text(value) for value in values - {*numbers})
    written = [*map(text, numbers), *others]
    if len(written) > MAX_LISTED:
        return f"{written[0]} to {written[-1]} ({len(written)} values)"
    return ", ".join(written)


def configuration_differences(
    first: Summary, second: Summary, *, score: str
) -> list[ConfigurationDifference]:
    """Return second − first for every configuration that both have, line by line.

    The interval is that of the curve, of the seeds' paired differences: their variance is pooled
    over the configurations of a line, collapsed ones apart.
    """
    rows: list[ConfigurationDifference] = []
    for line in shared_lines([first, second], score):
        pairs = _pairs(first, second, line, score)
        if pairs:
            rows += _line_differences(pairs, _paired(first, second, pairs, score), score)
    return rows


def why_not_subtracted(first: Summary, second: Summary) -> str:
    """Say why the scores of two studies are not subtracted from each other, nothing if they are."""
    a, b = first.study.manifest, second.study.manifest
    if a.image_size != b.image_size:
        return "their images differ in size, so that one β means two things"
    if a.protocol != b.protocol:
        return f"they were scored by different protocols, {a.protocol} and {b.protocol}"
    if a.lattice != b.lattice:
        return "they were scored on different images"
    return ""


def shared_scores(reads: Sequence[Summary]) -> list[str]:
    """Return the scores that some two studies have at one facet and latent size."""
    names = dict.fromkeys(name for read in reads for name in read.score_names)
    return [name for name in names if shared_lines(reads, name)]


def shared_lines(reads: Sequence[Summary], score: str) -> list[LineKey]:
    """Return the facets and latent sizes at which two studies or more have the score."""
    counts = Counter(line for read in reads for line in scored_lines(read, score))
    return sorted(line for line, count in counts.items() if count > 1)


def scored_lines(read: Summary, score: str) -> list[LineKey]:
    """Return the facets and latent sizes at which a study has the score."""
    if score not in read.scores:
        return []
    found = [(c.facet, c.latent_dim) for facet in read.facets for c in read.scored(facet, score)]
    return list(dict.fromkeys(found))


def line_name(line: LineKey) -> str:
    """Write a facet and a latent size.

    >>> line_name(("model=mlp", 10))
    'model=mlp, 10 latents'
    """
    facet, latent_dim = line
    return ", ".join(part for part in (facet, f"{latent_dim} latents") if part)


def line_of(read: Summary, line: LineKey, score: str) -> list[ConfigurationEntry]:
    """Return the configurations of a line that have the score, by β."""
    facet, latent_dim = line
    if score not in read.scores:
        return []
    return [
        configuration
        for configuration in read.scored(facet, score)
        if configuration.latent_dim == latent_dim
    ]


@dataclass(frozen=True)
class _Paired:
    """Scores of both studies on shared seeds [C, S], NaN where a seed is not shared."""

    first: NDArray[np.float64]
    second: NDArray[np.float64]


def _line_differences(
    pairs: Sequence[tuple[ConfigurationEntry, ConfigurationEntry]], scores: _Paired, score: str
) -> list[ConfigurationDifference]:
    collapsed = np.array([a.collapsed or b.collapsed for a, b in pairs])
    differences = scores.second - scores.first
    # linear, so that it is the same of a difference as of both scores
    independent = (
        as_independent(differences) if score_named(score).per_configuration else differences
    )
    found = intervals(independent, collapsed=collapsed)
    shared = np.isfinite(scores.first).sum(axis=1)
    return [
        ConfigurationDifference(
            configuration=configuration,
            first=_mean(scores.first[i]),
            second=_mean(scores.second[i]),
            difference=float(found.mean[i]),
            low=float(found.low[i]),
            high=float(found.high[i]),
            n_shared=int(shared[i]),
        )
        for i, (configuration, _) in enumerate(pairs)
    ]


def _pairs(
    first: Summary, second: Summary, line: LineKey, score: str
) -> list[tuple[ConfigurationEntry, ConfigurationEntry]]:
    """Return the configurations of a line that both have, by β."""
    own = {configuration.beta: configuration for configuration in line_of(second, line, score)}
    return [
        (configuration, own[configuration.beta])
        for configuration in line_of(first, line, score)
        if configuration.beta in own
    ]


def _paired(
    first: Summary,
    second: Summary,
    pairs: Sequence[tuple[ConfigurationEntry, ConfigurationEntry]],
    score: str,
) -> _Paired:
    by_seed = [(_by_seed(first, a, score), _by_seed(second, b, score)) for a, b in pairs]
    seeds = sorted({seed for both in by_seed for own in both for seed in own})
    a = np.array([[own.get(seed, math.nan) for seed in seeds] for own, _ in by_seed])
    b = np.array([[own.get(seed, math.nan) for seed in seeds] for _, own in by_seed])
    shared = np.isfinite(a) & np.isfinite(b)
    return _Paired(np.where(shared, a, math.nan), np.where(shared, b, math.nan))


def _by_seed(read: Summary, configuration: ConfigurationEntry, score: str) -> Mapping[int, float]:
    return {
        trial.seed: trial.values[score]
        for trial in read.trials_of(configuration)
        if trial.state == "complete" and math.isfinite(trial.values[score])
    }


def _mean(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else math.nan
