"""Whether the best β moves from one study to the next, and with what, as numbers and in words."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sweeps.analysis.best import best_configuration, best_range, may_win
from sweeps.analysis.comparisons import KeyDifference, LineKey, changes, line_name
from sweeps.analysis.curve import Line
from sweeps.analysis.summary import Summary, facet_name
from sweeps.labels import number, span
from sweeps.statistics.intervals import Floats
from sweeps.study.manifest import STEPS
from sweeps.study.trials import text

MAX_STUDIES = 4  # whose best β are all said where nothing orders them
MAX_KEYS = 4
SAME = "with the same settings"
TIMES: dict[float, str] = {2.0: "twice"} | {
    float(n): f"{word} times"
    for n, word in enumerate(("three", "four", "five", "six", "seven", "eight", "nine", "ten"), 3)
}


@dataclass(frozen=True)
class StudyBest:
    """The best β of a study on one line; all are of β_norm where images differ in size.

    From `may_be[0]` to `may_be[1]` lie those that may be best among the β that all studies have on
    the line, with 95 % confidence; None where fewer than two of these can be.
    """

    study: str
    beta: float
    latent_dim: int
    may_be: tuple[float, float] | None

    def is_apart_from(self, other: "StudyBest") -> bool:
        """Whether nothing may be best in both, and the two lie in the direction they are seen in.

        Each set misses its best β in at most 5 % of studies, so that two of one curve are apart in
        at most 10 %; simulated curves, flat, with one peak or with equal ones, are in under 1 %.
        """
        if self.may_be is None or other.may_be is None:
            return False
        (low, high), (other_low, other_high) = self.may_be, other.may_be
        return (self.beta < other.beta and high < other_low) or (
            self.beta > other.beta and low > other_high
        )


@dataclass(frozen=True)
class Movement:
    """The best β of several studies, and the keys in which they differ.

    `bests` are of those with a best configuration, of which `unfinished` names those with
    trials to come; `without` names the others. Where only a number differs, the studies are in its
    order. `line` is the one that is compared; None if several keys differ, so that nothing can be
    said to move the best, or if no latent size has one in all of them.
    `is_of_all` says whether the best configuration of every study lies on it.
    """

    bests: tuple[StudyBest, ...]
    changed: tuple[KeyDifference, ...]
    line: LineKey | None
    is_of_all: bool
    is_norm: bool
    without: tuple[str, ...]
    unfinished: tuple[str, ...]

    @property
    def is_shown(self) -> bool:
        """Whether the best β of some two studies are shown to be different."""
        pairs = ((a, b) for i, a in enumerate(self.bests) for b in self.bests[i + 1 :])
        return self.line is not None and any(a.is_apart_from(b) for a, b in pairs)

    @property
    def text(self) -> str:
        """What moves, with what, and whether that is shown, in one sentence."""
        if len(self.bests) < 2:
            said = "fewer than two of the studies have a best configuration to compare"
        elif len(self.changed) > 1:
            said = f"{self._listed()}; several keys differ ({_some(self.changed)})"
        elif self.line is None:
            said = f"{self._listed()}; no latent size is in {self._every}"
        else:
            said = self._moved()
        at = "" if self.line is None or self.is_of_all else f"at {line_name(self.line)}, "
        return "; ".join([at + said, *self._notes()])

    def _moved(self) -> str:
        """Say how the best β moves where one key differs, or none."""
        betas = [number(best.beta) for best in self.bests]
        key = self.changed[0] if self.changed else None
        is_course = len(betas) == 2 or (key is not None and _is_numeric(key))
        if len(set(betas)) == 1:
            how = _how(key) if is_course else f"with every {key.key}" if key else SAME
            return f"best {self._name} stays {betas[0]} {how}{self._may_be()}"
        if self.is_shown and is_course:
            return f"best {self._name} moves {_course(betas)} {_how(key)}"
        how = _how(key) if is_course else f"with {key.key}" if key else SAME
        verb = "moves" if self.is_shown else "is not shown to move"
        return f"best {self._name} {verb} {how}: {self._each()}"

    def _listed(self) -> str:
        """Say the best β of each study, or of many where they lie."""
        betas = {best.beta for best in self.bests}
        if len(betas) == len({best.latent_dim for best in self.bests}) == 1:
            return f"best {self._name} is {number(betas.pop())} in {self._every}"
        if len(self.bests) <= MAX_STUDIES:
            return f"best {self._name} is {self._each()}"
        low, *_, high = sorted(self.bests, key=lambda best: best.beta)
        ends = f"{number(low.beta)} (in {low.study}) and {number(high.beta)} (in {high.study})"
        return f"best {self._name} lies between {ends}"

    def _each(self) -> str:
        return _joined([self._in_study(best) for best in self.bests])

    def _in_study(self, best: StudyBest) -> str:
        note = f"{best.latent_dim} latents"
        if self.line is not None:
            note = "" if best.may_be is None else f"{span(*best.may_be)} may be best"
        return f"{number(best.beta)} in {best.study}{f' ({note})' if note else ''}"

    def _may_be(self) -> str:
        """Say which β may be best in studies that have the same, unless only that one may."""
        known = {best.study: best.may_be for best in self.bests if best.may_be is not None}
        if set(known.values()) <= {(self.bests[0].beta, self.bests[0].beta)}:
            return ""
        written = [f"{span(*ends)} in {name}" for name, ends in known.items()]
        return f" ({_joined(written)} may be best)"

    @property
    def _every(self) -> str:
        return "both" if len(self.bests) == 2 else f"all {len(self.bests)}"

    @property
    def _name(self) -> str:
        return "β_norm" if self.is_norm else "β"

    def _notes(self) -> list[str]:
        notes = []
        if self.line is not None and any(best.may_be is None for best in self.bests):
            notes.append(f"too few {self._name} are in {self._every} to say how sure that is")
        if len(self.bests) > 1 and self.without:
            notes.append(f"without a best configuration: {', '.join(self.without)}")
        if self.unfinished:
            notes.append(f"not finished: {', '.join(self.unfinished)}")
        return notes


def movement(studies: Mapping[str, Summary]) -> Movement:
    """Return how the best β of these studies, by name, moves by the objective of each.

    They are compared on one line: that of the first study's best configuration if all have it, or
    else another that all have. Without one, and where several keys differ, each has its own best.
    """
    found = {name: read for name, read in studies.items() if read.overall is not None}
    manifests = [read.study.manifest for read in found.values()]
    is_norm = len({manifest.image_size for manifest in manifests}) > 1
    changed = changes(manifests)
    own = [(read.overall.facet, read.overall.latent_dim) for read in found.values() if read.overall]
    lines = [_complete_lines(read) for read in found.values()]
    line = _shared(own, lines) if len(changed) < 2 else None
    chosen = [has[line or best] for has, best in zip(lines, own, strict=True)]
    bests = [
        _best(name, of, among, is_norm=is_norm)
        for name, of, among in zip(found, chosen, _on_shared(chosen, is_norm=is_norm), strict=True)
    ]
    order = _order(changed, len(bests))
    return Movement(
        bests=tuple(bests[i] for i in order),
        changed=tuple(
            KeyDifference(row.key, tuple(row.values[i] for i in order)) for row in changed
        ),
        line=line,
        is_of_all=set(own) == {line},
        is_norm=is_norm,
        without=tuple(name for name in studies if name not in found),
        unfinished=tuple(name for name, read in found.items() if read.in_progress),
    )


def _complete_lines(read: Summary) -> dict[LineKey, Line]:
    """Return the lines of the objective that have a best β, with their complete configurations."""
    return {
        (facet_name(line.axes), line.latent_dim): line.finished
        for line in read.lines(read.objective)
        if line.complete.any()
    }


def _shared(own: Sequence[LineKey], lines: Sequence[Mapping[LineKey, Line]]) -> LineKey | None:
    """Return a line that all studies have: one with the best of a study, if there is such a one."""
    candidates = [*own, *(line for has in lines for line in has)]
    return next((line for line in candidates if all(line in has for has in lines)), None)


def _on_shared(lines: Sequence[Line], *, is_norm: bool) -> list[Line]:
    """Return the lines with those β only, or β_norm, that all of them have."""
    tried = [_betas(line, is_norm=is_norm) for line in lines]
    if not tried:
        return []
    shared = functools.reduce(np.intersect1d, tried)
    pairs = zip(lines, tried, strict=True)
    return [line.keep(np.isin(betas, shared)) for line, betas in pairs]


def _betas(line: Line, *, is_norm: bool) -> Floats:
    """Return the β or β_norm of a line, rounded so that one value is one number."""
    values = line.beta_norms if is_norm else line.betas
    return np.array([float(f"{value:.12g}") for value in values])


def _best(name: str, line: Line, among: Line, *, is_norm: bool) -> StudyBest:
    """Return the best of a line, and which may be of some of its configurations."""
    best = best_configuration(line)
    assert best is not None, "the lines are those with complete configurations"
    may_be = None
    if may_win(among.collapsed).sum() > 1:
        found = best_range(among)
        may_be = (found.norm_low, found.norm_high) if is_norm else (found.low, found.high)
    return StudyBest(name, best.beta_norm if is_norm else best.beta, best.latent_dim, may_be)


def _order(changed: Sequence[KeyDifference], n_studies: int) -> list[int]:
    """Return the order by the number that differs, if that is all; else that of the studies."""
    order = list(range(n_studies))
    if len(changed) == 1 and _is_numeric(changed[0]):
        order.sort(key=_numbers(changed[0]).__getitem__)
    return order


def _numbers(key: KeyDifference) -> list[float]:
    return [v for v in key.values if isinstance(v, int | float) and not isinstance(v, bool)]


def _is_numeric(key: KeyDifference) -> bool:
    """Whether every study has another number."""
    return len(set(_numbers(key))) == len(key.values)


def _how(key: KeyDifference | None) -> str:
    """Write with what the best β moves, of two studies or in the order of a number."""
    if key is None:
        return SAME
    values = [f"{v:,}" if key.key == STEPS and v in _numbers(key) else text(v) for v in key.values]
    if len(values) > 2:
        return f"as {'the steps go' if key.key == STEPS else f'{key.key} goes'} {_course(values)}"
    if key.key == STEPS and _is_numeric(key):
        few, many = _numbers(key)
        ratio = many / few
        return f"with {TIMES.get(ratio) or f'{number(ratio)} times'} the steps"
    return f"with {key.key}={values[1]} instead of {values[0]}"


def _course(values: Sequence[str]) -> str:
    """Write values one after the other.

    >>> _course(["64", "16", "4"])
    'from 64 through 16 to 4'
    """
    return " to ".join([" through ".join([f"from {values[0]}", *values[1:-1]]), values[-1]])


def _joined(parts: Sequence[str]) -> str:
    """Write a list.

    >>> _joined(["16 in a", "4 in b", "1 in c"])
    '16 in a, 4 in b and 1 in c'
    """
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]


def _some(changed: Sequence[KeyDifference]) -> str:
    names = [key.key for key in changed[:MAX_KEYS]]
    more = len(changed) - len(names)
    return ", ".join([*names, *([f"{more} more"] if more else [])])
