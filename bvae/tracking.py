"""Each trial as a run of Weights & Biases; the only module that imports wandb.

Tracking may never cost a trial. Every call into wandb is guarded: when one fails, the run is
closed, `Tracker.lost` says why, and training continues. `history.csv` and `media/` hold the same.
Where the server cannot be reached, runs are kept offline; `sweeps sync` uploads them.

Everything wandb writes stays in `<folder>/wandb`: runs in `offline-run-*` (online: `run-*`), its
own logs and staging in `.cache` and `.data` there. Nothing goes to the user's home.
"""

import http.client
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bvae.environ import environ
from bvae.exceptions import ConfigError
from bvae.files import shortened, write_atomically
from bvae.trial import RunIdentity, TrackerSettings, WandbFolder

if TYPE_CHECKING:
    import wandb

STEP = "trainer/global_step"

FLUSH_EVERY_S = 1.0  # what a killed trial may lose; wandb's own default is 15
INIT_TIMEOUT_S = 20.0  # how long an unreachable server may hold up a trial; default 90
FINISH_TIMEOUT_S = 60.0  # what is not uploaded by then stays on disk for a later sync
ANSWER_TIMEOUT_S = 5.0  # how long the server may take to answer before anything is started

_unreached: list[str] = []
"""Why this process could not start a run online, if so: it waits for the server only once."""


class Tracker:
    """A run that is written to for as long as that works; without a run, no call does anything.

    Attributes:
        lost: why the run, or its way to the server, was lost; None as long as all is well.
    """

    def __init__(
        self,
        *,
        run: "wandb.Run | None" = None,
        environment: Mapping[str, str | None] | None = None,
        lost: str | None = None,
    ) -> None:
        self._run = run
        self._environment = environment or {}
        self.lost = lost

    def log(self, values: Mapping[str, float], *, step: int) -> None:
        """Add a row of values, reached after `step` optimizer steps."""
        self._guarded(lambda run: run.log({STEP: step, **values}))

    def log_picture(self, key: str, path: Path, *, step: int) -> None:
        """Add a copy of a PNG or GIF file.

        A file, since wandb >= 0.29 takes an array of floats in 0..1 for one of bytes: all black.
        """

        def add(run: "wandb.Run") -> None:
            import wandb

            is_video = path.suffix == ".gif"
            picture = wandb.Video(str(path), format="gif") if is_video else wandb.Image(str(path))
            run.log({STEP: step, key: picture})

        self._guarded(add)

    def log_bars(self, key: str, heights: Sequence[float], *, step: int) -> None:
        """Add a bar for each of some numbers, bar i from i to i + 1.

        As a histogram: for wandb's own bar chart every run would bring a table and an artifact.
        """

        def add(run: "wandb.Run") -> None:
            import numpy as np
            import wandb

            edges = np.arange(len(heights) + 1)
            bars = wandb.Histogram(np_histogram=(np.array(heights), edges))
            run.log({STEP: step, key: bars})

        self._guarded(add)

    def log_table(
        self, key: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *, step: int
    ) -> None:
        """Add a table."""

        def add(run: "wandb.Run") -> None:
            import wandb

            data: list[Iterable[object]] = [list(row) for row in rows]
            table = wandb.Table(columns=list(columns), data=data, allow_mixed_types=True)
            run.log({STEP: step, key: table})

        self._guarded(add)

    def log_model(
        self, name: str, files: Sequence[Path], *, root: Path, metadata: Mapping[str, object]
    ) -> None:
        """Add the files of a model as an artifact; they are below `root`/trials/SLUG.

        Offline their paths are noted relative to `root`, from which `sweeps sync` reads them: it
        may have been moved by then. wandb would note where they are now.
        """

        def add(run: "wandb.Run") -> None:
            import wandb

            artifact = wandb.Artifact(name, type="model", metadata=dict(metadata))
            for path in files:
                inside = path.relative_to(root)
                entry = artifact.add_file(
                    str(path), name="/".join(inside.parts[2:]), policy="immutable"
                )
                entry.local_path = str(inside if run.offline else path)
            run.log_artifact(artifact, aliases=["best"])

        self._guarded(add)

    def alert(self, title: str, text: str, *, is_failure: bool) -> None:
        """Have W&B send a message to whom it may concern; of an offline run when it is uploaded."""
        level = "ERROR" if is_failure else "INFO"
        self._guarded(lambda run: run.alert(title[:63], text, level=level))

    def summarise(self, values: Mapping[str, float | str]) -> None:
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
            with environ(self._environment):
                call(self._run)
        # When its service dies, wandb lets through whatever its sockets and queues raise; that
        # set is not documented, and none of it is worth a trial.
        except Exception as error:
            self._run = None
            self.lost = _reason(error)
            _forget_service(self._environment)


def check_login() -> None:
    """Make sure that runs can go to a server: there is a key, and a server that takes it.

    Raises:
        ConfigError: there is no usable key, or no server answers in time.
    """
    with speaking():
        _find_key()
        _require_server()
        _entity()  # asks whose key it is; a second wandb.login would ask nothing


def entity_of(folder: Path, settings: TrackerSettings) -> str:
    """Return the user or team that the runs of a study go to; it is noted, and stays the same.

    Raises:
        ConfigError: there is no usable key, or the server does not say.
    """
    note, typed = WandbFolder(folder).entity, os.environ.get("WANDB_ENTITY")
    if settings.entity is None and not note.exists():
        with speaking():
            write_atomically(note, typed or _entity())
    return settings.entity or note.read_text()


def rows_uploaded(run_id: str, *, entity: str, project: str | None) -> int:
    """Return how many rows of a run the server has; 0 if it has no such run.

    Raises:
        ConfigError: there is no usable key, or the server does not say.
    """
    import wandb

    with speaking():
        _find_key()
        try:
            return int(wandb.Api().run(f"{entity}/{project}/{run_id}").lastHistoryStep) + 1
        except wandb.errors.CommError as error:
            if "Could not find run" in str(error):
                return 0
            raise ConfigError(
                f"expected the W&B server to tell of run {run_id}: {_reason(error)}"
            ) from error


@contextmanager
def speaking() -> Iterator[None]:
    """Let wandb speak to a server, whatever the shell says; nothing it starts or writes stays."""
    with tempfile.TemporaryDirectory() as folder:
        environment = contained(Path(folder)) | {"WANDB_MODE": None}
        try:
            with environ(environment):
                yield
        finally:
            _forget_service(environment)


def _find_key() -> None:
    """Find a key, in the environment or where `wandb login` keeps it; no server is asked."""
    import wandb

    try:
        found = wandb.login(prompt=False, verify=False)
    except wandb.errors.AuthenticationError as error:
        raise ConfigError(f"expected a valid W&B key: {error}") from error
    if not found:
        raise ConfigError(
            "expected a W&B key, found none; run `wandb login`, set WANDB_API_KEY, or stay with "
            "tracker.mode=offline and upload later with `sweeps sync`"
        )


def _entity() -> str:
    import wandb

    try:
        return str(wandb.Api().default_entity)
    except (wandb.errors.Error, ValueError) as error:
        raise ConfigError(
            f"expected the W&B server to know whose key it is, got: {_reason(error)}"
        ) from error


def _require_server() -> None:
    """Wait for an answer, whatever it is; wandb itself would try for 11 s and blame its service."""
    import wandb

    url = wandb.setup().settings.base_url
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_TIMEOUT_S):
            pass
    except urllib.error.HTTPError:
        pass
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise ConfigError(
            f"expected the W&B server at {url} to answer, got: {_reason(error)}; check the network "
            "and WANDB_BASE_URL, or stay with tracker.mode=offline and upload later"
        ) from error


def start(
    settings: TrackerSettings,
    *,
    folder: Path,
    identity: RunIdentity,
    config: Mapping[str, object],
) -> Tracker:
    """Start a run; one that cannot be online is kept offline, and `lost` says why.

    Trouble with wandb itself gives a tracker that is lost from the start, not an error.

    Args:
        settings: with the name "none", the tracker does nothing.
        folder: all files stay in its sub-folder `wandb`.
        identity: how the run is found again.
        config: plain values, to group and filter runs by; the user's home in them becomes `~`.
    """
    if settings.name == "none":
        return Tracker()

    def started(*, online: bool, lost: str | None = None) -> Tracker:
        environment = contained(folder)
        try:
            with environ(environment):
                run = _open_run(
                    settings, online=online, folder=folder, identity=identity, config=config
                )
        # As in _guarded; and what a server may answer, and a disk.
        except Exception as error:
            _forget_service(environment)
            return Tracker(lost=_reason(error))
        return Tracker(run=run, environment=environment, lost=lost)

    if settings.mode != "online":
        return started(online=False)
    if not _unreached:
        tracker = started(online=True)
        if tracker.lost is None:
            return tracker
        _unreached.append(tracker.lost)
    return started(online=False, lost=f"kept offline for `sweeps sync`: {_unreached[0]}")


def _open_run(
    settings: TrackerSettings,
    *,
    online: bool,
    folder: Path,
    identity: RunIdentity,
    config: Mapping[str, object],
) -> "wandb.Run":
    import wandb

    if online:
        with environ({"WANDB_MODE": None}):
            _find_key()  # init would ask at a terminal
    folder.mkdir(parents=True, exist_ok=True)
    run = wandb.init(
        mode="online" if online else "offline",
        entity=settings.entity,
        project=settings.project,
        dir=folder,
        config=shortened({**config, "study": identity.study}),
        group=identity.study,
        id=identity.run_id,
        name=identity.name,
        tags=list(dict.fromkeys([*identity.tags, *settings.tags])),
        notes=settings.notes,
        job_type=identity.job_type,
        # The default hands out the first run of the process again: trials would merge.
        reinit="create_new",
        # A second attempt continues the run of the first, also when both are uploaded later.
        resume="allow",
        settings=_of_wandb(settings),
    )
    if online and settings.entity is None:
        write_atomically(WandbFolder(folder).entity, run.entity)
    run.define_metric(STEP)
    run.define_metric("*", step_metric=STEP)
    return run


def _of_wandb(settings: TrackerSettings) -> "wandb.Settings":
    """Only what belongs to the run: no console, machine statistics, code or requirements.

    The commit was read once, when the study was planned: wandb would read it for every trial.
    """
    import wandb

    return wandb.Settings(
        console="off",
        disable_code=True,
        disable_git=True,
        git_commit=settings.git_commit,
        git_remote_url=settings.git_remote,
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


def contained(folder: Path) -> dict[str, str | None]:
    """Return the environment in which wandb writes nothing outside `folder`/wandb.

    A variable that is None is to be removed.
    """
    inside = WandbFolder(folder.absolute())
    return {
        "WANDB_CACHE_DIR": str(inside.cache),
        "WANDB_DATA_DIR": str(inside.data),
        "WANDB_ENTITY": None,  # runs go where the study's do, not where a worker's shell says
        "WANDB_ERROR_REPORTING": "false",
        "WANDB_SERVICE": None,  # the service of a parent process would end with the parent
        "WANDB_SILENT": "true",
    }


def _forget_service(environment: Mapping[str, str | None]) -> None:
    """Let go of a service that may be dead, so that the next run starts a new one."""
    with environ(environment), suppress(Exception):  # a dead service cannot be told to end
        import wandb

        wandb.teardown()


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}".removesuffix(": ")
