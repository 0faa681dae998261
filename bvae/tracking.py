"""Each trial as a run of Weights & Biases; the only module that imports wandb.

Tracking may never cost a trial. Every call into wandb is guarded: when one fails, the run is given
up, `Tracker.lost` says why, and training goes on. `history.csv` and `media/` hold the same values.

Everything wandb writes stays in `<folder>/wandb`: runs in `offline-run-*` (online: `run-*`), its
own logs and staging in `.cache` and `.data` there. Nothing goes to the user's home.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bvae.exceptions import ConfigError

if TYPE_CHECKING:
    import wandb

STEP = "trainer/global_step"

FLUSH_EVERY_S = 1.0  # what a killed trial may lose; wandb's own default is 15
INIT_TIMEOUT_S = 20.0  # how long an unreachable server may hold up a trial; default 90
FINISH_TIMEOUT_S = 60.0  # what is not uploaded by then stays on disk for a later sync


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


class Tracker:
    """A run that is written to for as long as that works; without a run, no call does anything."""

    def __init__(
        self,
        *,
        run: "wandb.Run | None" = None,
        environment: Mapping[str, str | None] | None = None,
        lost: str | None = None,
    ) -> None:
        self._run = run
        self._environment = environment or {}
        self._lost = lost

    @property
    def lost(self) -> str | None:
        """Why the run was given up; None as long as all is well."""
        return self._lost

    def log(self, values: Mapping[str, float], *, step: int) -> None:
        """Add a row of values, reached after `step` optimizer steps."""
        self._guarded(lambda run: run.log({STEP: step, **values}))

    def log_image(
        self, key: str, path_to_png: Path, *, step: int, caption: str | None = None
    ) -> None:
        """Add a copy of a PNG file.

        A file, since wandb >= 0.29 takes an array of floats in 0..1 for one of bytes: all black.
        """

        def add(run: "wandb.Run") -> None:
            import wandb

            run.log({STEP: step, key: wandb.Image(str(path_to_png), caption=caption)})

        self._guarded(add)

    def log_video(self, key: str, path_to_gif: Path, *, step: int) -> None:
        """Add a copy of a GIF file."""

        def add(run: "wandb.Run") -> None:
            import wandb

            run.log({STEP: step, key: wandb.Video(str(path_to_gif), format="gif")})

        self._guarded(add)

    def summarise(self, values: Mapping[str, float]) -> None:
        """Set values that belong to the whole run, such as its scores."""
        self._guarded(lambda run: run.summary.update(dict(values)))

    def finish(self, exit_code: int = 0) -> None:
        """Close the run, as failed unless `exit_code` is 0; it can be called again."""
        self._guarded(lambda run: run.finish(exit_code=exit_code))
        self._run = None

    def _guarded(self, call: Callable[["wandb.Run"], object]) -> None:
        if self._run is None:
            return
        try:
            with _environ(self._environment):
                call(self._run)
        # When its service dies, wandb lets through whatever its sockets and queues raise; that
        # set is not documented, and none of it is worth a trial.
        except Exception as error:
            self._run = None
            self._lost = _reason(error)
            _forget_service(self._environment)


def check_key(*, mode: str) -> None:
    """Make sure that an online run could log in; asks no server and starts nothing.

    Args:
        mode: "offline" or "online".

    Raises:
        ConfigError: `mode` is "online" and no usable key is configured.
    """
    if mode == "offline":
        return
    import wandb

    try:
        with _environ({"WANDB_MODE": None, "WANDB_SILENT": "true"}):
            found = wandb.login(prompt=False, verify=False)
    except wandb.errors.AuthenticationError as error:
        raise ConfigError(f"expected a valid W&B key for tracker.mode=online: {error}") from error
    if not found:
        raise ConfigError(
            "expected a W&B key for tracker.mode=online, found none; run `wandb login`, set "
            "WANDB_API_KEY, or use tracker.mode=offline and upload later"
        )


def start(
    *,
    kind: str,
    mode: str,
    project: str,
    folder: Path,
    identity: RunIdentity,
    config: Mapping[str, object],
) -> Tracker:
    """Start a run.

    Trouble with wandb or its server gives a tracker that is lost from the start, not an error.

    Args:
        kind: "wandb", or "none" for a tracker that does nothing.
        mode: "offline" or "online".
        project: the W&B project.
        folder: all files stay in its sub-folder `wandb`.
        identity: how the run is found again.
        config: plain values, to group and filter runs by.

    Raises:
        ConfigError: `mode` is "online" and no usable key is configured.
    """
    if kind == "none":
        return Tracker()
    check_key(mode=mode)
    environment = _contained(folder)
    try:
        with _environ(environment):
            run = _open_run(
                online=mode == "online",
                project=project,
                folder=folder,
                identity=identity,
                config=config,
            )
    # As in _guarded; and what a server may answer, and a disk.
    except Exception as error:
        _forget_service(environment)
        return Tracker(lost=_reason(error))
    return Tracker(run=run, environment=environment)


def _open_run(
    *,
    online: bool,
    project: str,
    folder: Path,
    identity: RunIdentity,
    config: Mapping[str, object],
) -> "wandb.Run":
    import wandb

    folder.mkdir(parents=True, exist_ok=True)
    run = wandb.init(
        mode="online" if online else "offline",
        project=project,
        dir=folder,
        config=dict(config),
        group=identity.study,
        id=identity.run_id,
        name=identity.name,
        tags=identity.tags,
        job_type=identity.job_type,
        # The default hands out the first run of the process again: trials would merge.
        reinit="create_new",
        # A second attempt continues the run of the first, also when both are uploaded later.
        resume="allow",
        settings=_settings(),
    )
    run.define_metric(STEP)
    run.define_metric("*", step_metric=STEP)
    return run


def _settings() -> "wandb.Settings":
    """Only what belongs to the run: no console, machine statistics, code or requirements."""
    import wandb

    return wandb.Settings(
        console="off",
        disable_code=True,
        disable_git=True,
        x_disable_machine_info=True,
        x_disable_meta=True,
        x_disable_stats=True,
        x_save_requirements=False,
        silent=True,
        symlink=False,
        # Tables would leave their rows in a staging folder that does not travel with the run.
        allow_offline_artifacts=False,
        init_timeout=INIT_TIMEOUT_S,
        finish_timeout=FINISH_TIMEOUT_S,
        x_transaction_log_flush_interval=FLUSH_EVERY_S,
    )


def _contained(folder: Path) -> dict[str, str | None]:
    """The environment in which wandb writes nothing outside `folder`/wandb."""
    root = folder.absolute() / "wandb"
    return {
        "WANDB_CACHE_DIR": str(root / ".cache"),
        "WANDB_DATA_DIR": str(root / ".data"),
        "WANDB_ERROR_REPORTING": "false",
        "WANDB_SERVICE": None,  # the service of a parent process would end with the parent
        "WANDB_SILENT": "true",
    }


@contextmanager
def _environ(changes: Mapping[str, str | None]) -> Iterator[None]:
    """Set environment variables, or remove those that are None, and put them back."""
    before = {name: os.environ.get(name) for name in changes}
    _set_environ(changes)
    try:
        yield
    finally:
        _set_environ(before)


def _set_environ(changes: Mapping[str, str | None]) -> None:
    for name, value in changes.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _forget_service(environment: Mapping[str, str | None]) -> None:
    """Let go of a service that may be dead, so that the next run starts a new one."""
    with _environ(environment), suppress(Exception):  # a dead service cannot be told to end
        import wandb

        wandb.teardown()


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}".removesuffix(": ")
