"""The scores in families that are computed together, each over the evaluations of a protocol."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bvae.exceptions import DataError
from bvae.metrics.beta_vae import beta_vae
from bvae.metrics.dci import dci
from bvae.metrics.evaluation import Evaluation
from bvae.metrics.factor_vae import factor_vae
from bvae.metrics.mig import mig
from bvae.metrics.modularity import explicitness, modularity
from bvae.metrics.protocols import Protocol
from bvae.metrics.sap import sap
from bvae.metrics.softmax import standardised
from bvae.metrics.table import CodeTable


@dataclass(frozen=True)
class ScoreValue:
    """One score of one representation, and what it takes to read it.

    Attributes:
        value: mean over the evaluations.
        spread: standard deviation (ddof = 1) over the evaluations: 0 where nothing is random, None
            where there was only one.
        n_evaluations: how often it was computed, each time with other pairs, votes or rows.
        n_pairs: L, the pairs of a data point or the rows of a vote; None where there is none.
        n_factors: factors asked for, K.
        chance: what a code that says nothing about the factors gets.
        chance_corrected: (value - chance) / (1 - chance).
        per_factor: the part of each factor in it, as the score's own function says.
        wall_time_s: time for all evaluations; the three DCI scores share theirs.
        evaluations: the value of each.
    """

    value: float
    spread: float | None
    n_evaluations: int
    n_pairs: int | None
    n_factors: int
    chance: float
    chance_corrected: float
    per_factor: tuple[float, ...]
    wall_time_s: float
    evaluations: tuple[float, ...]


class FamilyScores(NamedTuple):
    """Scores by name, and the reason for each that is missing."""

    scores: dict[str, ScoreValue]
    missing: dict[str, str]


class _Family(NamedTuple):
    names: tuple[str, ...]
    evaluate: Callable[[CodeTable, Protocol, np.random.Generator], tuple[Evaluation, ...]]
    is_exact: bool = False
    is_costly: bool = False


def score_families(
    table: CodeTable, protocol: Protocol, *, wanted: frozenset[str], seed: int
) -> FamilyScores:
    """Compute the wanted scores; one that this table does not allow is missing with its reason.

    Every family starts from the seed anew: no score depends on which others are wanted.
    """
    if protocol.is_scale_free:
        table = table.with_codes(standardised(table.codes, by=table.codes))
    scores: dict[str, ScoreValue] = {}
    missing: dict[str, str] = {}
    for family in _FAMILIES:
        names = [name for name in family.names if name in wanted]
        if not names:
            continue
        try:
            read = _score_family(family, table, protocol, seeds=np.random.SeedSequence(seed))
        except DataError as reason:
            missing |= dict.fromkeys(names, str(reason))
        else:
            scores |= {name: read[name] for name in names}
    return FamilyScores(scores, missing)


def _score_family(
    family: _Family, table: CodeTable, protocol: Protocol, *, seeds: np.random.SeedSequence
) -> dict[str, ScoreValue]:
    start = time.perf_counter()
    n_evaluations = 1 if family.is_exact or family.is_costly else protocol.n_evaluations
    evaluations = [
        family.evaluate(table, protocol, np.random.default_rng(child))
        for child in seeds.spawn(n_evaluations)
    ]
    wall_time_s = time.perf_counter() - start
    return {
        name: _score(
            name, evaluations, table, protocol, is_exact=family.is_exact, wall_time_s=wall_time_s
        )
        for name, evaluations in zip(family.names, zip(*evaluations, strict=True), strict=True)
    }


def _score(
    name: str,
    evaluations: tuple[Evaluation, ...],
    table: CodeTable,
    protocol: Protocol,
    *,
    is_exact: bool,
    wall_time_s: float,
) -> ScoreValue:
    values = [evaluation.value for evaluation in evaluations]
    value = float(np.mean(values))
    chance = float(np.mean([evaluation.chance for evaluation in evaluations]))
    one_evaluation = 0.0 if is_exact else None
    return ScoreValue(
        value=value,
        spread=float(np.std(values, ddof=1)) if len(values) > 1 else one_evaluation,
        n_evaluations=len(values),
        n_pairs={"beta_vae": protocol.n_pairs, "factor_vae": protocol.n_rows_per_vote}.get(name),
        n_factors=table.n_factors,
        chance=chance,
        chance_corrected=(value - chance) / (1 - chance),
        per_factor=tuple(
            np.mean([evaluation.per_factor for evaluation in evaluations], axis=0).tolist()
        ),
        wall_time_s=wall_time_s,
        evaluations=tuple(values),
    )


def _beta_vae(
    table: CodeTable, protocol: Protocol, rng: np.random.Generator
) -> tuple[Evaluation, ...]:
    evaluation = beta_vae(
        table,
        n_pairs=protocol.n_pairs,
        n_train=protocol.n_train,
        n_eval=protocol.n_eval,
        classifier=protocol.classifier,
        rng=rng,
    )
    return (evaluation,)


def _factor_vae(
    table: CodeTable, protocol: Protocol, rng: np.random.Generator
) -> tuple[Evaluation, ...]:
    evaluation = factor_vae(
        table,
        n_rows=protocol.n_rows_per_vote,
        n_train=protocol.n_train_votes,
        n_eval=protocol.n_eval_votes,
        min_std=protocol.min_std,
        rng=rng,
    )
    return (evaluation,)


def _mig(table: CodeTable, protocol: Protocol, _: np.random.Generator) -> tuple[Evaluation, ...]:
    return (mig(table, n_bins=protocol.n_bins),)


def _sap(table: CodeTable, protocol: Protocol, rng: np.random.Generator) -> tuple[Evaluation, ...]:
    return (sap(table, n_train=protocol.n_train, n_eval=protocol.n_eval, rng=rng),)


def _dci(table: CodeTable, protocol: Protocol, rng: np.random.Generator) -> tuple[Evaluation, ...]:
    return dci(table, n_train=protocol.n_train, n_eval=protocol.n_eval, rng=rng)


def _modularity(
    table: CodeTable, protocol: Protocol, _: np.random.Generator
) -> tuple[Evaluation, ...]:
    return (modularity(table, n_bins=protocol.n_bins),)


def _explicitness(
    table: CodeTable, protocol: Protocol, rng: np.random.Generator
) -> tuple[Evaluation, ...]:
    return (explicitness(table, n_train=protocol.n_train, n_eval=protocol.n_eval, rng=rng),)


_FAMILIES = (
    _Family(("beta_vae",), _beta_vae),
    _Family(("factor_vae",), _factor_vae),
    _Family(("mig",), _mig, is_exact=True),
    _Family(("sap",), _sap),
    _Family(
        ("dci_disentanglement", "dci_completeness", "dci_informativeness"), _dci, is_costly=True
    ),
    _Family(("modularity",), _modularity, is_exact=True),
    _Family(("explicitness",), _explicitness, is_costly=True),
)
