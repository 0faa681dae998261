"""The baseline of a curve: what encoders score that were never trained, by latent size.

A study's baselines are computed once, when its command ends, with its own networks, images and
protocol, and kept in `floors.json`, from which the report is drawn without torch. The scores are
those of the protocol but for DCI, which would take minutes.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bvae.exceptions import DataError
from bvae.files import write_atomically
from bvae.metrics.protocols import protocol_named
from sweeps.study.manifest import RUN_TRIAL
from sweeps.study.study import Study
from sweeps.study.trials import Trial, Value

if TYPE_CHECKING:  # who reads baselines needs no Pillow and no OmegaConf
    from bvae.codes import Codes
    from bvae.config import Config, ModelConfig
    from bvae.data.datasets import ImageDataset
    from bvae.data.labels import Classes, Labels

SCHEMA = 1
"""Version of `floors.json`; another one is not read, and written anew."""

N_ENCODERS = 3
COSTLY = "dci_"
UNREADABLE = (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError)

Place = tuple[tuple[str, Value], ...]
"""What the trials of a line share: the latent size and the further axes, as `Trial` orders them."""


class Level(NamedTuple):
    """Mean and standard deviation (ddof = 1) of a score over untrained encoders."""

    mean: float
    spread: float


@dataclass(frozen=True)
class UntrainedBaseline:
    """The scores of the untrained encoders of one line, and what they were computed by."""

    place: Place
    protocol: str
    lattice: str
    n_encoders: int
    scores: Mapping[str, Level]


@dataclass(frozen=True)
class ScoredImages:
    """The images of a data set that scores are computed on: n rows and their factors."""

    dataset: "ImageDataset"
    rows: NDArray[np.int64]
    labels: "Labels"

    @classmethod
    def of(cls, dataset: "ImageDataset", every: Sequence[int] | None) -> "ScoredImages":
        """Return the images on every k-th class of each factor.

        Raises:
            DataError: the images have no factors.
        """
        from bvae.evaluate import scored_part

        labels, rows = scored_part(dataset, every)
        if labels is None:
            raise DataError(f"{dataset.name} has no factors, so its codes have no scores")
        return cls(dataset, rows, labels)

    @property
    def factors(self) -> "Classes":
        """Classes of the K factors [n, K]."""
        return self.labels.factors(np.arange(len(self.rows)))


def read_untrained(path: Path) -> dict[Place, UntrainedBaseline]:
    """Read the baselines of a study by line; none where there is no file or it cannot be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] != SCHEMA:
            return {}
        baselines = [_baseline(record) for record in content["floors"]]
    except UNREADABLE:
        return {}
    return {baseline.place: baseline for baseline in baselines}


def add_untrained(study: Study, *, tell: Callable[[str], object] = str) -> None:
    """Compute what `floors.json` lacks, and write it; data without factors has no baseline.

    A study whose trials are no trainings, or of a single trial, is left alone. Needs torch.

    Args:
        study: a study whose networks have been trained here, so that its data is in the cache.
        tell: hears what is being computed, if anything is.
    """
    if study.manifest.trial != RUN_TRIAL or len(study.trials) == 1:
        return
    wanted = dict(_wanted(study))
    known = read_untrained(study.folder.untrained)
    kept = {
        place: known[place]
        for place, line in wanted.items()
        if place in known
        and (known[place].protocol, known[place].lattice) == (line.protocol, _lattice(line))
    }
    missing = {place: line for place, line in wanted.items() if place not in kept}
    if missing:
        tell("scoring untrained encoders, the baseline of the curve")
        write_untrained(study.folder.untrained, [*kept.values(), *_computed(missing)])


def write_untrained(path: Path, baselines: Sequence[UntrainedBaseline]) -> None:
    """Write `floors.json`, whole or not at all."""
    records = [asdict(baseline) | {"place": dict(baseline.place)} for baseline in baselines]
    for record in records:
        levels: Mapping[str, Level] = record["scores"]
        record["scores"] = {name: level._asdict() for name, level in levels.items()}
    write_atomically(path, json.dumps({"schema": SCHEMA, "floors": records}, indent=1))


def place_of(trial: Trial) -> Place:
    """Return the line that a trial is on.

    >>> place_of(Trial.of({"seed": 0, "latent_dim": 10, "beta": 4.0, "model": "mlp"}))
    (('latent_dim', 10), ('model', 'mlp'))
    """
    return tuple(pair for pair in trial.coordinates if pair[0] not in ("beta", "seed"))


def untrained_scores(line: "Config", dataset: "ImageDataset") -> dict[str, Level]:
    """Return the scores of encoders with the first weights of seeds 0, 1 and 2.

    Args:
        line: a configuration of the line; its β and its seed do not matter.
        dataset: its images.

    Raises:
        DataError: the images have no factors.
    """
    from bvae.data.labels import dropped
    from bvae.metrics.scoring import score_table

    images = ScoredImages.of(dataset, line.data.score_every)
    names = [name for name in protocol_named(line.protocol).scores if not name.startswith(COSTLY)]
    encoders = untrained_codes(images, line.model, latent_dim=line.latent_dim)
    found = [
        score_table(
            codes.mu,
            images.factors,
            logvar=codes.logvar,
            protocol=line.protocol,
            seed=seed,
            only=names,
            drop=dropped(images.labels.names),
        ).values()
        for seed, codes in enumerate(encoders)
    ]
    named = [name for name in found[0] if all(name in scores for scores in found)]
    return {name: _level([scores[name] for scores in found]) for name in named}


def untrained_codes(
    images: ScoredImages, network: "ModelConfig", *, latent_dim: int
) -> Iterator["Codes"]:
    """Yield the codes of encoders with the weights that training by seeds 0, 1, 2 starts from."""
    import torch

    from bvae.evaluate import encode
    from bvae.model import BetaVAE

    shape = images.dataset.store.image_shape
    for seed in range(N_ENCODERS):
        torch.manual_seed(seed)
        model = BetaVAE(
            network=network.name,
            encoder=network.encoder,
            decoder=network.decoder,
            image_shape=shape,
            latent_dim=latent_dim,
            beta=1.0,
        )
        yield encode(model, images.dataset, rows=images.rows, labels=images.labels)


def _computed(missing: Mapping[Place, "Config"]) -> Iterator[UntrainedBaseline]:
    """Compute each baseline once: lines that differ by a learning rate only share theirs."""
    import torch

    from bvae import checks

    scores: dict[tuple[object, ...], dict[str, Level]] = {}
    for place, line in missing.items():
        torch.set_num_threads(line.threads)
        same = (line.latent_dim, line.protocol, repr(line.model), repr(line.data))
        if same not in scores:
            scores[same] = untrained_scores(line, checks.prepare(line))
        yield UntrainedBaseline(place, line.protocol, str(_lattice(line)), N_ENCODERS, scores[same])


def _wanted(study: Study) -> Iterator[tuple[Place, "Config"]]:
    """Yield every line of a study whose data has factors, with the settings of one trial."""
    from bvae import config
    from bvae.part_sources import import_from

    import_from(study.manifest.parts_folder)
    firsts = {place_of(trial): trial for trial in reversed(study.trials)}
    for place, trial in firsts.items():
        line = config.parse(study.manifest.config_of(trial))
        if _lattice(line) is not None:
            yield place, line


def _lattice(line: "Config") -> str | None:
    from bvae import checks

    return checks.derived_settings(line).lattice


def _level(values: Sequence[float]) -> Level:
    return Level(float(np.mean(values)), float(np.std(values, ddof=1)))


def _baseline(record: Mapping[str, Any]) -> UntrainedBaseline:
    latent_dim = int(record["place"]["latent_dim"])
    place = Trial.of({"beta": None, "seed": None, **record["place"], "latent_dim": latent_dim})
    scores = {
        name: Level(float(level["mean"]), float(level["spread"]))
        for name, level in record["scores"].items()
    }
    return UntrainedBaseline(
        place_of(place), record["protocol"], record["lattice"], record["n_encoders"], scores
    )
