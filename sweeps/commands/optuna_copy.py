"""A study as an Optuna study in memory, rebuilt from its results for Optuna's dashboard.

The queue's own Optuna study will not do there. Its ranges are wider than any study, and Optuna
weighs parameters by their ranges; a trial that was begun three times is there three times. In the
copy a trial is a trial, every parameter has one distribution for all of them, and what the study
says stands among its attributes. The seed is an attribute, too: it only repeats a configuration,
and as a parameter it would be given a share of the importance that is chance.
"""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import ExperimentalWarning
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from bvae.history import History
from sweeps.analysis.summary import Summary
from sweeps.commands.conclude import described
from sweeps.labels import score_label
from sweeps.report.words import verdict
from sweeps.search.search import Search
from sweeps.search.space import Choices, Dimension, Interval
from sweeps.study.study import Study
from sweeps.study.trials import Trial, Value, text
from sweeps.workers.logged import SCORE

WIDE = 10
"""Numbers are on a logarithmic scale if the largest is so many times the smallest."""

STATES = {
    "complete": TrialState.COMPLETE,
    "failed": TrialState.FAIL,
    "pruned": TrialState.PRUNED,
    "running": TrialState.RUNNING,
    "pending": TrialState.WAITING,
}

Artifacts = Callable[[Study, str], Mapping[str, str]]
"""Takes a study and a trial's slug; returns the system attributes that name its pictures."""


def rebuild(
    studies: Mapping[str, Summary], *, order: Sequence[tuple[str, str]], artifacts: Artifacts
) -> InMemoryStorage:
    """Return a storage with a copy of every study.

    Args:
        studies: by the names they get, in the order of their ids.
        order: name and slug of every trial, in the order of their ids. Whoever rebuilds again and
            again adds to the end only: pages that are open know trials by their ids.
        artifacts: the pictures.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = InMemoryStorage()
    copies = {name: _study(storage, name, read) for name, read in studies.items()}
    trials = {name: dict(_trials(read, artifacts)) for name, read in studies.items()}
    for name, slug in order:
        copies[name].add_trial(trials[name][slug])
    return storage


def _study(storage: InMemoryStorage, name: str, read: Summary) -> optuna.Study:
    made = optuna.create_study(storage=storage, study_name=name, direction="maximize")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        made.set_metric_names([score_label(read.objective)])
    for key, value in _attributes(read):
        made.set_user_attr(key, value)
    return made


def _attributes(read: Summary) -> Iterator[tuple[str, str | float]]:
    """Yield what the study says, then what it is."""
    manifest = read.study.manifest
    judged = read.judged_best(read.objective)
    if judged is not None and judged.best is not None:
        yield f"best{' so far' if read.in_progress else ''}", described(judged.best)
        yield "curve", f"{verdict(judged)}; {judged.text}"
        yield "latents", read.latents(read.objective).text
    for name in ("data", "model", "objective", "protocol"):
        yield name, getattr(manifest, name)
    for name, value in (("loss", manifest.settings.get("loss.name")), ("steps", manifest.steps)):
        if value is not None and name not in manifest.axes:
            yield name, value
    yield from ((f"trials {name}", number) for name, number in read.study.counts.items())
    yield "command", manifest.command
    yield "code version", manifest.code_version
    yield "created at", manifest.created_at
    yield "folder", str(read.study.folder.root)


def _trials(read: Summary, artifacts: Artifacts) -> Iterator[tuple[str, FrozenTrial]]:
    """Yield slug and copy of every trial; its attributes are its row of trials.csv."""
    study, shared = read.study, distributions(read.study)
    unsaid = {"state", "repeats", read.objective, *shared}
    for trial, row in zip(study.trials, read.frame.to_dict("records"), strict=True):
        state = STATES[study.states[trial.slug]]
        started, ended = _times(study, trial.slug, state)
        # None, and NaN, which alone differs from itself
        known = {str(key): one for key, one in row.items() if one is not None and one == one}
        # Optuna refuses a complete trial without a value, but not an infinite one
        value = known.get(read.objective, -math.inf) if state is TrialState.COMPLETE else None
        yield (
            trial.slug,
            FrozenTrial(
                number=-1,  # the storage gives number and id
                trial_id=-1,
                state=state,
                value=value,
                datetime_start=started,
                datetime_complete=ended,
                params={
                    name: one.to_external_repr(one.to_internal_repr(_plain(trial.values[name])))
                    for name, one in shared.items()
                },
                distributions=dict(shared),
                user_attrs={key: value for key, value in known.items() if key not in unsaid},
                system_attrs=dict(artifacts(study, trial.slug)),
                intermediate_values=_validation_scores(study, trial.slug),
            ),
        )


def _times(study: Study, slug: str, state: TrialState) -> tuple[datetime | None, datetime | None]:
    """Return when a trial began and ended, in local time without a zone, as Optuna has it."""
    result = study.results.get(slug)
    if state.is_finished() and result is not None:
        began = datetime.fromisoformat(result.started_at).astimezone().replace(tzinfo=None)
        return began, began + timedelta(seconds=result.wall_time_s)
    if state is TrialState.WAITING:
        return None, None
    try:
        return datetime.fromtimestamp(study.folder.trial(slug).config.stat().st_mtime), None
    except FileNotFoundError:
        return datetime.now(), None


def _validation_scores(study: Study, slug: str) -> dict[int, float]:
    rows = History(study.folder.trial(slug).history, []).rows()
    return {int(row["step"]): float(row[SCORE]) for row in rows if row.get(SCORE)}


def distributions(study: Study) -> dict[str, BaseDistribution]:
    """Return one distribution for each parameter, as wide as the study and what it searches.

    Parameters are β, latent size and the further axes.
    """
    written = study.manifest.search
    space = {} if written is None else Search.read(written).space
    return {
        name: _distribution(name, study.trials, space.get(name))
        for name in ("beta", "latent_dim", *study.manifest.axes)
    }


def _distribution(
    name: str, trials: Sequence[Trial], searched: Dimension | None
) -> BaseDistribution:
    tried = [trial.values[name] for trial in trials]
    found = Choices.of([*tried, *(searched.values if searched else ())])
    if not found.are_ordered:
        return CategoricalDistribution([_plain(value) for value in found.values])
    low, high = (float(str(found.values[end])) for end in (0, -1))
    if isinstance(searched, Interval):
        is_log = searched.log
    else:
        is_log = name in ("beta", "latent_dim") or high >= WIDE * low
    is_log = is_log and low > 0
    if name != "beta" and all(isinstance(value, int) for value in found.values):
        return IntDistribution(int(low), int(high), log=is_log)
    return FloatDistribution(low, high, log=is_log)


def _plain(value: Value) -> bool | int | float | str | None:
    """Return a value that Optuna takes: a list is written as it is typed."""
    return text(value) if isinstance(value, tuple) else value
