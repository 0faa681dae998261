"""`sweeps rescore`: other scores for a study, from the codes it has stored; nothing is trained.

All scores are computed before the first file is written. The results are written then, the manifest
last: until it is, the study is one of the old protocol, and typing the command again repeats all.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import track

from bvae.config import nearest
from bvae.exceptions import ConfigError
from bvae.metrics.protocols import protocol_named
from bvae.metrics.scores import UDR_NAMES
from bvae.part_sources import import_from
from bvae.trial import TrialResult
from bvae.versions import code_version
from sweeps.commands.arguments import add_study
from sweeps.study.folder import StudyFolder
from sweeps.study.heartbeat import living_workers
from sweeps.study.manifest import Manifest
from sweeps.study.study import Study, open_study
from sweeps.study.trials import Trial
from sweeps.workers.exit_codes import Exit
from sweeps.workers.live_table import Display

# The scores bring scikit-learn, LightGBM and torch, the lock of a study brings Optuna: seconds
# that a mistake in the arguments need not wait for.
if TYPE_CHECKING:
    from bvae.evaluate import Codes

KEYS = ("protocol", "objective")


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
        help="protocol=NAME and, where the study's objective is to change, objective=NAME",
    )


def run(typed: argparse.Namespace) -> int:
    """Rescore a study, and write trials.csv and the report anew."""
    from sweeps.commands.conclude import conclude
    from sweeps.workers.orchestrator import running

    folder = open_study(typed.study).folder
    with running(folder):
        study = open_study(folder.root)
        wanted = requested(typed.settings, study.manifest)
        n_rescored = rescore(study, wanted)
    display = Display()
    display.say(f"{n_rescored} trials scored by {wanted.protocol}; objective: {wanted.objective}")
    conclude(open_study(folder.root), display, Exit.COMPLETE)
    return Exit.COMPLETE


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


def rescore(study: Study, wanted: Request) -> int:
    """Score every complete trial anew, write all results, then the manifest; return how many.

    Raises:
        ConfigError: a worker is at the study, or codes are missing or of another lattice.
    """
    from sweeps.plan.plan import write_manifest
    from sweeps.queue.attempts import store_of

    _refuse_workers(study.folder)
    codes = _checked_codes(study)
    console = Console(stderr=True)
    slugs = track(
        codes,
        description=f"scoring by {wanted.protocol}",
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    import_from(study.manifest.parts_folder)
    results = {
        slug: rescored(
            study.results[slug],
            codes[slug],
            protocol=wanted.protocol,
            own=study.manifest.config_of(study.trial(slug)).get("scores") or {},
        )
        for slug in slugs
    }
    # Under this lock no worker takes a trial; those that come later read the manifest anew.
    with store_of(study).exclusive():
        _refuse_workers(study.folder)
        _refuse_changes(study)
        for slug, result in results.items():
            result.write(study.folder.trial(slug).result)
        write_manifest(study.folder, rescored_manifest(study.manifest, wanted))
    return len(results)


def rescored(
    result: TrialResult, codes: Path, *, protocol: str, own: Mapping[str, Any]
) -> TrialResult:
    """Return the result with the scores of its codes by another protocol, or the same.

    Args:
        result: of a complete trial.
        codes: its codes.npz.
        protocol: name of a protocol.
        own: the study's own scores, as `bvae.evaluate.score` takes them.
    """
    from bvae import evaluate

    seed = int(result.scoring.get("seed", result.point["seed"]))
    scored = evaluate.score(evaluate.Codes.read(codes), protocol=protocol, seed=seed, own=own)
    details = {**scored.details, "code": code_version()}
    return replace(result, scores=scored.values, scoring=details)


def rescored_manifest(manifest: Manifest, wanted: Request) -> Manifest:
    """Return the manifest with another protocol and objective wherever it names them."""
    changes = {"protocol": wanted.protocol, "objective": wanted.objective}
    return replace(
        manifest,
        protocol=wanted.protocol,
        objective=wanted.objective,
        base=manifest.base | {"protocol": wanted.protocol},
        compositions={
            choice: composed | changes for choice, composed in manifest.compositions.items()
        },
        arguments=_arguments(manifest, changes),
    )


def _arguments(manifest: Manifest, changes: Mapping[str, str]) -> list[str]:
    """Return what continues the study: as typed, it would be refused from now on."""
    words = manifest.arguments
    old = {"protocol": manifest.protocol, "objective": manifest.objective}
    for key, value in changes.items():
        if value != old[key]:
            kept = [word for word in words if not word.startswith(f"{key}=")]
            words = [*kept, f"{key}={value}"]
    return words


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


def _checked_codes(study: Study) -> dict[str, Path]:
    """Return the codes of every complete trial, by slug; all are there, and of one lattice."""
    complete = [slug for slug, state in study.states.items() if state == "complete"]
    codes = {slug: study.folder.trial(slug).codes for slug in complete}
    mistakes = [
        f"{path}: {mistake}" for path in codes.values() if (mistake := _mistake(path, study))
    ]
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    return codes


def _mistake(path: Path, study: Study) -> str | None:
    from bvae.evaluate import Codes

    try:
        codes = Codes.read(path)
    except (OSError, EOFError, ValueError, KeyError) as error:
        return f"expected the codes of a complete trial, but they cannot be read ({error})"
    return _lattice_mistake(codes, study)


def _lattice_mistake(codes: "Codes", study: Study) -> str | None:
    lattice: Any = codes.labels and codes.labels.name
    if lattice is None:
        return "codes of images without factors, which have no scores; look at UDR instead"
    is_swept = {"data", "data.score_every", "data.bins"} & {*study.manifest.axes}
    if lattice != study.manifest.lattice and not is_swept:
        return f"codes of the lattice {lattice}, but the study's is {study.manifest.lattice}"
    return None
