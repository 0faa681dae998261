"""How a study stands when the command that ran it ends: tables, report, and what to say."""

import logging
import math
import re
import textwrap
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pandas import DataFrame

from bvae.files import write_atomically
from bvae.metrics.scores import UDR_NAMES
from sweeps.analysis.budget import Budget, budget
from sweeps.analysis.curve import ScoredConfiguration
from sweeps.analysis.summary import Summary, summarize
from sweeps.analysis.table import score_names, trials_table
from sweeps.labels import NOTHING, counted, is_known, score_text, seeds, shown
from sweeps.report.answer import Headline, headline
from sweeps.report.words import beta_range, verdict
from sweeps.scoring.udr import refresh
from sweeps.statistics.inverted_u import Verdict
from sweeps.study.command import sweeps
from sweeps.study.study import Study, open_study
from sweeps.study.trials import text
from sweeps.workers.exit_codes import INTERRUPTIONS, Exit

if TYPE_CHECKING:  # `sweeps best` needs no live table
    from sweeps.workers.live_table import Display

log = logging.getLogger("sweeps")

NO_BREAK = "\N{NO-BREAK SPACE}"
WIDTH = 80
"""Columns of a terminal that nobody has widened; a command may take more, since it is copied."""


def conclude(study: Study, display: "Display", code: Exit) -> None:
    """Write trials.csv and the report; say how it ended, what is best, where the report is."""
    if study.left:  # else nothing has run since it was read
        study = open_study(study.folder.root)
    study = refresh(study)
    # a user who interrupts does not want to wait for numbers and drawings
    read = None if code in INTERRUPTIONS else summarize(study)
    write_table(study, trials_table(study) if read is None else read.table)
    counts = study.counts
    summary = [f"{counts['complete']} of {counts['expected']} trials complete"]
    summary += [f"{counts[name]} {name}" for name in ("failed", "pruned") if counts[name]]
    display.say(", ".join(summary))
    for line in [*study.failures, *untracked(study)]:
        display.say(f"  {line}")
    if study.left:
        display.say(f"{study.left} left; continue with: {sweeps('resume', study.folder.root)}")
    if read is None:
        return
    for line in _answer(read):
        display.say(line)
    if counts["complete"]:
        _score_untrained(study, display)
    if _is_drawn(study):
        display.say(f"report: {shown(study.folder.page)}; nothing has changed since it was drawn")
        return
    from sweeps.report.page import write_report  # vl-convert, which `sweeps best` does not need
    from sweeps.tracking.study_run import track_report

    page = write_report(read)
    display.say(f"report: {shown(page)}")
    lost = track_report(read, page)
    if lost is not None:
        display.say(f"W&B run of the study: {lost}")


def _is_drawn(study: Study) -> bool:
    """Whether a finished study has not changed since its report: 5,000 trials take it seconds."""
    if study.left or not study.folder.page.exists():
        return False
    results = [study.folder.trial(slug).result for slug in study.results]
    shown_in_it = [study.folder.manifest, study.folder.untrained, study.folder.udr, *results]
    drawn = study.folder.page.stat().st_mtime_ns
    return all(path.stat().st_mtime_ns < drawn for path in shown_in_it if path.exists())


def _score_untrained(study: Study, display: "Display") -> None:
    """Add the untrained baseline once; a report without it is better than none."""
    from sweeps.scoring.untrained import add_untrained
    from sweeps.workers.logs import log_to

    with log_to(study.folder.orchestrator_log):
        try:
            add_untrained(study, tell=display.say)
        except Exception as error:  # whatever it is, it must not cost the report
            log.exception("untrained encoders could not be scored")
            display.say(f"no untrained baseline: {type(error).__name__}: {error}")


def untracked(study: Study) -> list[str]:
    """Say why runs are not where they should be on W&B: a line for each reason."""
    reasons = Counter(one.tracking for one in study.results.values() if one.tracking)
    return [
        f"tracking of {counted(number, 'trial')}: {reason}" for reason, number in reasons.items()
    ]


def write_table(study: Study, table: DataFrame) -> None:
    """Write trials.csv, a row per trial."""
    write_atomically(study.folder.table, table.to_csv(index=False))


def best_line(study: Study) -> str:
    """Say which configuration is best, until all trials have ended the best so far."""
    return next(_answer(summarize(study)))


def _answer(read: Summary) -> Iterator[str]:
    """Say what a study answers by its objective, or why it does not yet."""
    study, objective = read.study, read.objective
    head = headline(read, objective) if objective in score_names(study) else None
    if head is not None:
        yield from conclusion(head, budget(read), left=study.left)
    elif objective in score_names(study):
        yield "no best configuration: none is complete yet"
    else:
        why = ", which compares two seeds of a configuration" if objective in UDR_NAMES else ""
        yield f"no best configuration: no trial has the score {objective} yet{why}"


def conclusion(head: Headline, trained: Budget, *, left: int) -> Iterator[str]:
    """Say the answer in a few lines: which β, how many latents, how sure, and what to type next."""
    yield from answer(head, trained, left=left)
    others = (f"{one.latent_dim} latents: {verdict(one)}" for one in head.others)
    yield from row("others", "; ".join(others))
    yield from next_step(head, left=left)


def answer(head: Headline, trained: Budget, *, left: int) -> Iterator[str]:
    """Say which β, how many latents and how sure: the best configuration, then a row a question."""
    judged = head.judged
    yield from wrapped(f"best{' so far' if left else ''}: {described(head.scored)}", indent=2)
    if judged.best_range is not None:
        yield from row("best β", f"of those tried: {beta_range(judged.best_range)}")
    yield from row("latents", head.latents.text)
    yield from row("curve", f"{verdict(judged)}; {judged.text}")
    if is_known(judged.left_out_score):
        said = f"a seed left out scores {score_text(judged.left_out_score)}"
        yield from row("left out", f"with β chosen on the other seeds, {said}")
    yield from _training(trained, left=left)


def _training(trained: Budget, *, left: int) -> Iterator[str]:
    """Say whether the models were trained long enough, and how to find out."""
    is_settled = trained.change != NOTHING and not trained.falling and not left
    asks = "; whether it does:" if trained.command else ""
    if trained.falling:
        longer = "a longer training may move the best β"
        yield from row("training", f"its loss still fell by {trained.falling}: {longer}{asks}")
    elif is_settled and trained.command:
        longer = "a longer training would hardly move the best β"
        yield from row("training", f"its loss fell no more: {longer}{asks}")
    if trained.command and (trained.falling or is_settled):
        yield f"  {trained.command}"
    if trained.sources:
        yield from row("sources", f"{trained.sources} (accept_sources=true)")
    if trained.learnt:
        worse = f"images held out are reconstructed {trained.learnt} worse"
        yield from row("held out", f"it learns by heart: {worse}")


def next_step(head: Headline, *, left: int) -> Iterator[str]:
    """Say what to type next, the command on a line of its own; or how many trials are to come."""
    if left:
        yield f"next: {counted(left, 'trial')} left to run"
    elif head.next_step is None:
        is_shown = head.judged.verdict is Verdict.INVERTED_U
        done = "nothing: the answer is known" if is_shown else "other β, latent sizes or more steps"
        yield f"next: {done}"
    else:
        yield from wrapped(f"next: {head.next_step.why}", indent=2)
        yield f"  {head.next_step.command}"


def row(name: str, text: str) -> Iterator[str]:
    """Yield what is said under a name, in two columns; nothing where there is nothing to say."""
    if text:
        yield from wrapped(f"  {name:<9} {text}", indent=12)


def wrapped(text: str, *, indent: int) -> list[str]:
    """Return a sentence in lines of at most 80 columns; `β = 4` stays on one of them."""
    joined = re.sub(r" (?=[=<≈%] ?)|(?<= [=<≈]) ", NO_BREAK, text)
    lines = textwrap.wrap(
        joined,
        WIDTH,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(NO_BREAK, " ") for line in lines]


def described(configuration: ScoredConfiguration) -> str:
    """Say a configuration in one line: coordinates, mean of the score, interval and seeds."""
    where = [f"beta={configuration.beta:g}", f"latent_dim={configuration.latent_dim}"]
    where += [f"{name}={text(value)}" for name, value in configuration.axes]
    how_sure = seeds(configuration.n, score=configuration.score)
    if math.isfinite(configuration.low):
        how_sure = f"95 % interval {configuration.low:.3f} to {configuration.high:.3f}, {how_sure}"
    elif configuration.n == 1:
        how_sure = f"{how_sure}: no interval"
    return f"{' '.join(where)}  {configuration.score} {configuration.mean:.3f} ({how_sure})"
