"""`sweeps rescore`: scores of another protocol for a study, from the codes it has stored.

Those of another protocol stand beside the study's own, in `other_scores` of each result: the study
may run meanwhile, and what is scored is kept when the command is interrupted. By the study's own
protocol all scores are computed anew, before the first file is written.
"""

import argparse
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from bvae.config import nearest
from bvae.exceptions import ConfigError
from bvae.machine import cpus
from bvae.metrics.protocols import protocol_named
from bvae.metrics.scores import SCORE_NAMES, UDR_NAMES, score_named
from bvae.part_sources import all_sources
from bvae.trial import TrialResult
from bvae.versions import code_version
from sweeps.analysis.curve import write_curve
from sweeps.analysis.summary import ByScore, summarize
from sweeps.commands.arguments import add_study
from sweeps.labels import counted, interval, is_known, number, score_text, shown
from sweeps.scoring.rescoring import Computed, Job, computed, jobs_of
from sweeps.study.folder import StudyFolder
from sweeps.study.heartbeat import living_workers
from sweeps.study.manifest import Manifest
from sweeps.study.study import Study, open_study
from sweeps.study.trials import Trial
from sweeps.workers.exit_codes import Exit
from sweeps.workers.live_table import Display

KEYS = ("protocol", "objective")

COSTLY = tuple(name for name in SCORE_NAMES if name.startswith("dci"))
"""They take several times as long as all others together, so that they are computed last."""


@dataclass(frozen=True)
class Request:
    """What the study is to be scored by, and which score it is to maximise."""

    protocol: str
    objective: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `sweeps rescore` takes."""
    add_study(parser)
    parser.add_argument(
        "settings",
        nargs="+",
        metavar="KEY=VALUE",
        help="protocol=NAME adds the scores of another protocol; by the study's own, all are "
        "computed anew, and objective=NAME changes the score that it maximises",
    )


def run(typed: argparse.Namespace) -> int:
    """Add the scores of another protocol, or compute the study's own anew."""
    study = open_study(typed.study)
    wanted = requested(typed.settings, study.manifest)
    is_own = wanted.protocol == study.manifest.protocol
    try:
        return _rescore(study.folder, wanted) if is_own else _add_scores(study, wanted.protocol)
    except KeyboardInterrupt:
        kept = "" if is_own else ": what is scored is kept"
        Display().say(f"interrupted{kept}; type the same command to continue")
        return Exit.INTERRUPTED


def requested(settings: Sequence[str], manifest: Manifest) -> Request:
    """Read `protocol=…` and `objective=…`; what is not given stays as it is.

    Raises:
        ConfigError: naming every setting that is none, or a score the protocol does not have.
    """
    given = dict(setting.partition("=")[::2] for setting in settings)
    mistakes = [
        f"{key}: expected protocol=NAME or objective=NAME"
        for key, value in given.items()
        if key not in KEYS or not value
    ]
    if "protocol" in manifest.axes:
        mistakes.append(
            f"{manifest.name}: its protocol is swept, so it holds the scores of each already"
        )
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    wanted = Request(
        protocol=given.get("protocol", manifest.protocol),
        objective=given.get("objective", manifest.objective),
    )
    own = manifest.config_of(Trial.of(manifest.trials[0])).get("scores") or {}
    names = (*protocol_named(wanted.protocol).score_names, *own, *UDR_NAMES)
    if wanted.protocol != manifest.protocol:
        if "objective" in given:
            raise ConfigError(
                f"objective={wanted.objective}: the study goes by its own protocol, "
                f"{manifest.protocol}; leave it out to add the scores of {wanted.protocol}"
            )
        return wanted
    if manifest.search is not None and wanted.objective in UDR_NAMES:
        raise ConfigError(
            f"objective={wanted.objective}: compares the seeds of a configuration, so a search "
            "cannot maximise it; leave it out, and look at it with `sweeps best --score`"
        )
    if wanted.objective not in names:
        raise ConfigError(
            f"objective={wanted.objective}: not a score of protocol {wanted.protocol}; "
            f"give objective=…, {nearest(wanted.objective, names)}"
        )
    return wanted


def _add_scores(study: Study, protocol: str) -> Exit:
    """Score every complete trial that lacks scores of this protocol, and say what they show."""
    display = Display()
    code = code_version(all_sources(study.manifest.compositions, study.manifest.parts_folder))
    jobs = _missing_jobs(study, protocol, code=code)
    mistakes: dict[Path, str] = {}
    for job, found in _with_progress(jobs, study.manifest):
        if found.mistake is not None:
            mistakes[job.codes] = found.mistake
        else:
            _add(study, job, found, code=code)
    study = open_study(study.folder.root)
    n_scored = sum(bool(one.other_scores.get(protocol)) for one in study.results.values())
    display.say(f"{n_scored} of {study.counts['expected']} trials have scores of {protocol}")
    for path, mistake in mistakes.items():
        display.say(f"  {shown(path)}: {mistake}")
    if n_scored:
        _conclude(study.by(protocol), study.folder.curve_by(protocol), display)
    return Exit.FAILED if mistakes else Exit.COMPLETE


def _missing_jobs(study: Study, protocol: str, *, code: str) -> list[Job]:
    """Return what is to be computed: first all but the costly scores of every trial, then these."""
    names = protocol_named(protocol).scores
    jobs = jobs_of(study, protocol=protocol)
    quick = [replace(job, only=tuple(name for name in names if name not in COSTLY)) for job in jobs]
    costly = [replace(job, only=tuple(name for name in names if name in COSTLY)) for job in jobs]
    wanted = [*quick, *(replace(job, own={}) for job in costly)]
    return [job for job in wanted if not _is_done(job, study.results[job.slug], code=code)]


def _is_done(job: Job, result: TrialResult, *, code: str) -> bool:
    """Whether the result has the scores of a job, or why it has not, by these sources."""
    scoring = result.other_scoring.get(job.protocol, {})
    if scoring.get("code") != code:
        return not job.only
    known = {*result.other_scores[job.protocol], *scoring["missing"]}
    return known.issuperset([*(job.only or ()), *job.own])


def _add(study: Study, job: Job, found: Computed, *, code: str) -> None:
    """Write scores into a trial's result, unless it has another result by now.

    The lock is the study's: a worker may be at the trial, to continue it to more steps.
    """
    from sweeps.queue.attempts import store_of  # Optuna: half a second

    path = study.folder.trial(job.slug).result
    with store_of(study).exclusive():
        result = TrialResult.read(path)
        if result is not None and _attempt(result) == _attempt(study.results[job.slug]):
            with_added(result, job.protocol, found, code=code).write(path)


def _attempt(result: TrialResult) -> tuple[object, ...]:
    """What differs between two results of a trial that have other codes."""
    return result.started_at, result.attempt, result.steps


def with_added(result: TrialResult, protocol: str, found: Computed, *, code: str) -> TrialResult:
    """Return the result with these scores beside its own; those of other sources are dropped."""
    scores, scoring = {**found.scores}, {**found.details, "code": code}
    known = result.other_scoring.get(protocol, {})
    if known.get("code") == code:
        scores = {**result.other_scores[protocol], **scores}
        scoring |= {name: {**known[name], **scoring[name]} for name in ("missing", "scores")}
        scoring["wall_time_s"] = round(known["wall_time_s"] + scoring["wall_time_s"], 3)
    return replace(
        result,
        other_scores={**result.other_scores, protocol: scores},
        other_scoring={**result.other_scoring, protocol: scoring},
    )


def _conclude(study: Study, curve: Path, display: Display) -> None:
    """Write the curve of the added scores, and print what each of them says."""
    read = summarize(study)
    write_curve(curve, read.curve)
    print("\n".join(table(read.by_score())))
    display.say(f"curve: {shown(curve)}; the study's own scores and its answer stay as they are")


def table(found: Sequence[ByScore]) -> Iterator[str]:
    """Yield what every score of the mean representation says, in columns."""
    rows = [("score", "best β", "latents", "mean (95 % interval)", "curve")]
    for one in found:
        best = one.judged.best
        if best is None:
            continue
        score = score_named(best.score)
        if score.representation != "mean" or score.per_configuration:  # UDR is the same by each
            continue
        between = f" ({interval(best.low, best.high)})" if is_known(best.low) else ""
        where = (number(best.beta), str(best.latent_dim), f"{score_text(best.mean)}{between}")
        rows.append((best.score, *where, str(one.judged.verdict)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield "  ".join(cells).rstrip()


def _with_progress(jobs: Sequence[Job], manifest: Manifest) -> Iterator[tuple[Job, Computed]]:
    """Yield what comes of each job, with a bar in a terminal."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        tasks = {
            kind: progress.add_task(f"{jobs[0].protocol}: {kind}", total=total)
            for kind, total in Counter(map(_kind, jobs)).items()
        }
        for job, found in computed(
            jobs, parts_folder=manifest.parts_folder, n_processes=int(cpus())
        ):
            progress.advance(tasks[_kind(job)])
            yield job, found


def _kind(job: Job) -> str:
    if job.only is None:
        return "all scores"
    return "DCI" if {*job.only} <= {*COSTLY} else "all scores but DCI"


def _rescore(folder: StudyFolder, wanted: Request) -> Exit:
    """Compute the study's own scores anew, and write trials.csv and the report anew."""
    from sweeps.commands.conclude import conclude
    from sweeps.workers.orchestrator import running

    with running(folder, doing="rescoring"):
        study = open_study(folder.root)
        changes = rescore(study, wanted)
    display = Display()
    display.say(f"scored anew by {wanted.protocol}: {changes}; objective: {wanted.objective}")
    conclude(open_study(folder.root), display, Exit.COMPLETE)
    return Exit.COMPLETE


def rescore(study: Study, wanted: Request) -> str:
    """Score every complete trial anew, write all results, then the manifest; say what changed.

    Raises:
        ConfigError: a worker is at the study, or codes are missing or of another lattice.
    """
    from sweeps.plan.plan import write_manifest
    from sweeps.queue.attempts import store_of

    _refuse_workers(study.folder)
    found = {
        job.slug: (job.codes, one)
        for job, one in _with_progress(jobs_of(study, protocol=wanted.protocol), study.manifest)
    }
    mistakes = [f"{path}: {one.mistake}" for path, one in found.values() if one.mistake]
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    results = {
        slug: replace(
            study.results[slug], scores=one.scores, scoring={**one.details, "code": code_version()}
        )
        for slug, (_, one) in found.items()
    }
    # Under this lock no worker takes a trial; those that come later read the manifest anew.
    with store_of(study).exclusive():
        _refuse_workers(study.folder)
        _refuse_changes(study)
        for slug, result in results.items():
            result.write(study.folder.trial(slug).result)
        write_manifest(study.folder, rescored_manifest(study.manifest, wanted.objective))
    return _changes(study.results, results)


def _changes(old: Mapping[str, TrialResult], new: Mapping[str, TrialResult]) -> str:
    """Say how many numbers of how many trials have changed, and by how much at most."""
    gaps = [
        (abs(value - old[slug].scores.get(name, math.inf)), name, slug)
        for slug, result in new.items()
        for name, value in result.scores.items()
        if value != old[slug].scores.get(name)
    ]
    trials = counted(len(new), "trial")
    if not gaps:
        return f"{trials}, no score has changed"
    largest, name, slug = max(gaps)
    by = f"at most by {largest:.2g}" if math.isfinite(largest) else "new ones among them"
    return f"{trials}, {counted(len(gaps), 'score')} changed, {by} ({name} of {slug})"


def rescored_manifest(manifest: Manifest, objective: str) -> Manifest:
    """Return the manifest with another objective wherever it names it."""
    changes = {"objective": objective}
    words = manifest.arguments
    if objective != manifest.objective:  # as typed, the study would be refused from now on
        words = [word for word in words if not word.startswith("objective=")]
        words = [*words, f"objective={objective}"]
    return replace(
        manifest,
        objective=objective,
        compositions={
            choice: composed | changes for choice, composed in manifest.compositions.items()
        },
        arguments=words,
    )


def _refuse_workers(folder: StudyFolder) -> None:
    names = [worker.name for worker in living_workers(folder.workers)]
    if names:
        raise ConfigError(
            f"{folder.name}: {', '.join(names)} at work; stop them first: `sweeps stop`"
        )


def _refuse_changes(study: Study) -> None:
    """Refuse a study that has changed while scores were computed."""
    now = open_study(study.folder.root)
    if (now.manifest, now.states) != (study.manifest, study.states):
        raise ConfigError(
            f"{study.name}: it has changed since scoring began; type the command again"
        )
