"""A trial: the names of its files, the record of its result, and what it asks while it runs."""

import dataclasses
import json
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from bvae import records
from bvae.exceptions import DataError
from bvae.files import is_file_name, read_text, with_tilde, write_atomically

SCHEMA = 1
"""Version of `result.json`; readers refuse a newer one."""

State = Literal["complete", "failed", "pruned"]

COORDINATES = ("beta", "latent_dim", "seed")
"""Every trial of a study has a value for these, in this order."""


@dataclass(frozen=True)
class TrialFolder:
    """Every file of one trial, by name."""

    root: Path

    @property
    def result(self) -> Path:
        """The committed record; its presence means that the attempt has ended."""
        return self.root / "result.json"

    def earlier_result(self, steps: int | None) -> Path:
        """The result before the trial was continued to more steps, kept if that failed."""
        return self.root / f"result.{steps}.json"

    @property
    def failed_result(self) -> Path:
        """The result of a failed trial that was queued again."""
        return self.root / "result.failed.json"

    @property
    def config(self) -> Path:
        """The full configuration the trial was trained with."""
        return self.root / "config.yaml"

    @property
    def codes(self) -> Path:
        """Means and log-variances over the scored lattice."""
        return self.root / "codes.npz"

    @property
    def history(self) -> Path:
        """Losses, KL per latent and intermediate scores by step."""
        return self.root / "history.csv"

    @property
    def log(self) -> Path:
        """What the trial logged."""
        return self.root / "log.txt"

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.root / "checkpoints"

    @property
    def last(self) -> Path:
        """The model after its last step, and the state that it can be continued from."""
        return self.checkpoints / "last.ckpt"

    @property
    def best(self) -> Path:
        """The weights of the step of the best validation score."""
        return self.checkpoints / "best.ckpt"

    @property
    def weights(self) -> Path | None:
        """The weights that were kept of a complete trial, those it was scored with."""
        return next((path for path in (self.last, self.best) if path.exists()), None)

    def remove_weights(self) -> None:
        """Remove the weights that were kept."""
        for path in (self.last, self.best):
            path.unlink(missing_ok=True)

    @property
    def resume(self) -> Path:
        """Full training state of an unfinished trial; gone once it is complete."""
        return self.checkpoints / "resume.ckpt"

    @property
    def media(self) -> "MediaFolder":
        """Pictures: reconstructions and traversals."""
        return MediaFolder(self.root / "media")

    def preview(self, step: int) -> "MediaFolder":
        """Pictures drawn in training, at this step."""
        return MediaFolder(self.media.root / f"step-{step}")


@dataclass(frozen=True)
class MediaFolder:
    """Every picture of one trial, by name."""

    root: Path

    @property
    def reconstructions(self) -> Path:
        """Images and what is decoded from their codes."""
        return self.root / "reconstructions.png"

    @property
    def traversal(self) -> Path:
        """All latents, one after the other over its range."""
        return self.root / "traversal.png"

    @property
    def traversal_gif(self) -> Path:
        """The same as an animation; not of a model in training."""
        return self.root / "traversal.gif"

    @property
    def factor_map(self) -> Path:
        """What the latents share with the factors; not of data without factors."""
        return self.root / "factor_map.png"

    def latent(self, latent: int, kind: str) -> Path:
        """One latent from several images, as a picture (png) or an animation (gif)."""
        return self.root / f"traversal-z{latent}.{kind}"


@dataclass(frozen=True)
class WandbFolder:
    """What wandb writes for the runs of a study, all of it below the study's folder."""

    study: Path

    @property
    def root(self) -> Path:
        """A folder for each attempt at a trial; the name is wandb's own choice."""
        return self.study / "wandb"

    @property
    def cache(self) -> Path:
        """What it logs while it uploads, beside what it caches."""
        return self.root / ".cache"

    @property
    def data(self) -> Path:
        """Where it stages artifacts."""
        return self.root / ".data"

    @property
    def entity(self) -> Path:
        """The user or team that runs went to, where none was given."""
        return self.root / "entity"


@dataclass
class TrackerSettings:
    """How the runs of a study are tracked; the keys below `tracker`.

    Attributes:
        name: "wandb" or "none".
        mode: "offline" or "online".
        tags: beside those of data, model and protocol.
        log_model: "best" to keep the weights of the best trial as an artifact, or "none".
        git_commit: of the folder the command was typed in, written when a study is planned.
        git_remote: where that comes from.
    """

    name: str = "none"
    mode: str | None = None
    entity: str | None = None
    project: str | None = None
    tags: list[str] = field(default_factory=list)
    notes: str | None = None
    alert: bool = False
    log_model: str = "none"
    git_commit: str | None = None
    git_remote: str | None = None


@dataclass(frozen=True)
class TrialResult:
    """The outcome of one attempt at a trial, as `result.json` holds it (losses, KL in nats).

    Attributes:
        steps: of the optimiser; None if what ran the trial does not say.
        scored_step: the step whose weights were scored, drawn and kept; with
            `checkpoint.keep=best` that of the best validation score. None: the last one.
        loss_change: of `val/loss` over the last tenth of the steps, relative; near 0 the model is
            about trained; None after fewer than two validations or with nothing left to lose.
        recon_excess: how much worse images held out are reconstructed than those trained on:
            `relative`, with its `standard_error`; empty where none are held out.
        other_scores: by protocol, those that `sweeps rescore` has added beside the own `scores`.
        other_scoring: by protocol, the circumstances they were computed under, as in `scoring`.
        continued_from: the steps at which a complete trial was continued; the optimiser's moments
            began anew there.
    """

    point: Mapping[str, Any]
    state: State
    attempt: int
    threads: int
    started_at: str
    beta_norm: float | None = None
    wall_time_s: float = 0.0
    device: str | None = None
    precision: str | None = None
    error: str | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    scoring: Mapping[str, Any] = field(default_factory=dict)
    other_scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    other_scoring: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    losses: Mapping[str, float] = field(default_factory=dict)
    kl_per_latent: list[float] = field(default_factory=list)
    active_latents: int | None = None
    latent_factor_map: Mapping[str, Any] | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    images_seen: int = 0
    steps: int | None = None
    scored_step: int | None = None
    loss_change: float | None = None
    recon_excess: Mapping[str, float] = field(default_factory=dict)
    continued_from: list[int] = field(default_factory=list)
    timings: Mapping[str, float] = field(default_factory=dict)
    tracking: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    schema: int = SCHEMA

    def write(self, path: Path) -> None:
        """Write the record atomically."""
        write_atomically(path, json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False))

    @property
    def cause(self) -> str | None:
        """Type and message of the error, without its traceback, if there was one."""
        return self.error.partition("\n")[0] if self.error else None

    def by(self, protocol: str) -> "TrialResult":
        """Return the same with the scores of another protocol as its own, as far as it has any."""
        return dataclasses.replace(
            self,
            scores=self.other_scores.get(protocol, {}),
            scoring={**self.other_scoring.get(protocol, {}), "protocol": protocol},
        )

    @classmethod
    def read(cls, path: Path) -> "TrialResult | None":
        """Return the record, or None where there is none or it cannot be read.

        Raises:
            DataError: it was written by a newer version.
        """
        found = cls._parsed(path)
        return None if isinstance(found, str) else found

    @classmethod
    def mistake(cls, path: Path) -> str | None:
        """Return why a record cannot be read, None if it can be or there is none."""
        found = cls._parsed(path)
        return found if isinstance(found, str) and found else None

    @classmethod
    def _parsed(cls, path: Path) -> "TrialResult | str":
        """Return the record, or why it cannot be read; an empty text where there is none."""
        try:
            content = json.loads(read_text(path))
            if content.get("schema", 0) > SCHEMA:
                raise DataError(
                    f"{path}: written by a newer version of bvae-sweeps; upgrade to read it"
                )
            names = {entry.name for entry in dataclasses.fields(cls)}
            known = {key: value for key, value in content.items() if key in names}
            wrong = records.mistake(cls, known)
            paths = [name for name in known.get("other_scores", {}) if not is_file_name(name)]
            if wrong or paths:
                return wrong or f"other_scores: {records.expected('names of protocols', paths)}"
            shape = known.get("data", {}).get("image_shape") or [1]
            if not records.fits(shape, list[int]) or min(shape) < 1:
                return f"data: {records.expected('an image_shape of integers above 0', shape)}"
            return cls(**known)
        except (FileNotFoundError, NotADirectoryError):
            return ""
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            return str(error)


class Interrupted(Exception):  # noqa: N818 - an event, not an error
    """The trial was asked to stop, and has saved where it was."""


class Pruned(Exception):  # noqa: N818 - an event, not an error
    """The pruner has ended the trial."""

    def __init__(self, step: int) -> None:
        super().__init__(f"at step {step}")
        self.step = step


@dataclass(frozen=True)
class RunIdentity:
    """How a run is found again among many.

    Attributes:
        study: the group of the run.
        run_id: unique in its project, and the same for each attempt at a trial.
        name: what people read.
        tags: 1 to 64 characters each.
        job_type: "train", or what else the run does.
    """

    study: str
    run_id: str
    name: str
    tags: tuple[str, ...] = ()
    job_type: str = "train"


@dataclass(frozen=True)
class Monitor:
    """What a trial asks and reports while it runs.

    Attributes:
        stopping: whether it must save its state, and stop.
        at: takes the step and how many there are.
        should_prune: takes a step and the validation score there; whether it is to be pruned.
    """

    stopping: Callable[[], bool] = lambda: False
    at: Callable[[int, int], None] = lambda step, total: None
    should_prune: Callable[[int, float], bool] = lambda step, score: False


def described(error: BaseException) -> str:
    """Return type and message of an error being handled on the first line, its traceback below."""
    return with_tilde(f"{type(error).__name__}: {error}\n{traceback.format_exc()}")


def now() -> str:
    """Return the time, ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
