"""All scores of a table by one protocol: of the means, of samples, and of the active latents."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from threadpoolctl import threadpool_limits

from bvae.exceptions import ConfigError
from bvae.metrics.families import FamilyScores, ScoreValue, score_families
from bvae.metrics.latents import informative_latents
from bvae.metrics.protocols import Protocol, protocol_named
from bvae.metrics.scores import ACTIVE, SAMPLED, SCORE_NAMES
from bvae.metrics.table import CodeTable, code_table

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scores:
    """All scores of a table, and why others are missing.

    Attributes:
        protocol: name of the protocol.
        seed: seed of everything random.
        lattice: sizes of the full lattice like "3x6x40x16x16", or None if the table is none.
        factors: columns of `factors` that were asked for.
        left_out: the reason for each column that was to be asked for but cannot be scored.
        n_known: of each column asked for, the rows whose class is known.
        n_rows: rows of the table.
        n_latents: latents of the table.
        scores: by name; `_sampled` and `_active` are appended for those representations.
        missing: the reason for each score that was wanted but not possible.
        wall_time_s: time for everything.
    """

    protocol: str
    seed: int
    lattice: str | None
    factors: tuple[int, ...]
    left_out: dict[int, str]
    n_known: tuple[int, ...]
    n_rows: int
    n_latents: int
    scores: dict[str, ScoreValue]
    missing: dict[str, str]
    wall_time_s: float

    def values(self) -> dict[str, float]:
        """Return the value of each score by name."""
        return {name: score.value for name, score in self.scores.items()}


def score(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    logvar: ArrayLike | None = None,
    protocol: str | Protocol = "locatello2019",
    seed: int = 0,
) -> dict[str, float]:
    """Return the value of each score of a protocol by name; see `score_table` for the arguments.

    Scores and factors that the table does not allow are left out and logged with the reason.

    Raises:
        ConfigError: there is no such protocol.
        DataError: names everything that is wrong with the arrays.

    Example:
        >>> factors = np.indices((3, 4, 5, 10)).reshape(4, -1).T
        >>> values = score(factors * 1.0, factors, protocol="fast")
        >>> values["beta_vae"], values["factor_vae"], round(values["mig"], 6)
        (1.0, 1.0, 1.0)
    """
    scores = score_table(codes, factors, logvar=logvar, protocol=protocol, seed=seed)
    for column, reason in scores.left_out.items():
        _log.warning("No factor %d: it has %s", column, reason)
    for name, reason in scores.missing.items():
        _log.warning("No %s: %s", name, reason)
    return scores.values()


def score_table(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    logvar: ArrayLike | None = None,
    protocol: str | Protocol = "locatello2019",
    seed: int = 0,
    only: Sequence[str] | None = None,
    drop: Sequence[int] | None = None,
) -> Scores:
    """Compute the scores of a protocol, each with its circumstances.

    With `logvar`, each score is also computed on a sample z ~ N(codes, exp(logvar)), `_sampled`,
    and without the latents whose mean KL is at most .01 nats, `_active`; where no latent is left,
    it is that of a constant code. All three see the same pairs, votes and rows.

    Args:
        codes: means of the latents [n, M].
        factors: classes [n, K] (whole numbers, any labels; NaN where none is known), rows in any
            order. Scores that share a factor between rows draw them uniformly from a full lattice
            (each combination in exactly one row), of other tables as in `bvae.metrics.draws`.
        logvar: log-variances of the latents [n, M] in nats.
        protocol: name of a protocol, or one of your own.
        seed: seed of everything random, not negative.
        only: names of the scores to compute, instead of the protocol's.
        drop: columns of `factors` that vary but are not asked for. None: by the protocol's rule,
            which takes a table of five factors for dSprites (`higgins2017`: column 0, the shape);
            of other data give (), so that none is dropped.

    Raises:
        ConfigError: there is no such protocol or score, or the seed is negative.
        DataError: names everything that is wrong with the arrays.
    """
    start = time.perf_counter()
    if seed < 0:
        raise ConfigError(f"Expected a seed of at least 0, but got {seed}.")
    settings = protocol_named(protocol) if isinstance(protocol, str) else protocol
    wanted = _checked_names(settings.scores if only is None else only)
    whole = code_table(codes, factors, logvar=logvar)
    n_columns = len(whole.columns) + len(whole.left_out)
    dropped = _dropped(settings, n_columns) if drop is None else tuple(drop)
    table = whole.without_factors(dropped)
    with threadpool_limits(1):  # matrices are small: more threads are slower
        found = _score_all(table, settings, wanted=wanted, seed=seed)
    return Scores(
        protocol=settings.name,
        seed=seed,
        lattice="x".join(map(str, whole.sizes)) if whole.strides else None,
        factors=table.columns,
        left_out=dict(table.left_out),
        n_known=tuple((table.factors >= 0).sum(axis=0).tolist()),
        n_rows=table.n_rows,
        n_latents=table.n_latents,
        scores=found.scores,
        missing=found.missing,
        wall_time_s=time.perf_counter() - start,
    )


def _score_all(
    table: CodeTable, protocol: Protocol, *, wanted: frozenset[str], seed: int
) -> FamilyScores:
    """Compute the wanted scores of every representation; names end in its suffix."""
    everything = FamilyScores({}, {})
    plain = score_families(table, protocol, wanted=wanted, seed=seed)
    for suffix, variant in _representations(table, seed).items():
        same = variant is table
        read = plain if same else score_families(variant, protocol, wanted=wanted, seed=seed)
        everything.scores.update({name + suffix: score for name, score in read.scores.items()})
        everything.missing.update({name + suffix: why for name, why in read.missing.items()})
    return everything


def _checked_names(names: Sequence[str]) -> frozenset[str]:
    if unknown := sorted(set(names) - set(SCORE_NAMES)):
        raise ConfigError(
            f"Expected scores among {', '.join(SCORE_NAMES)}, but got {', '.join(unknown)}."
        )
    return frozenset(names)


def _dropped(protocol: Protocol, n_factors: int) -> tuple[int, ...]:
    return (protocol.dropped,) if protocol.dropped is not None and n_factors == 5 else ()


def _representations(table: CodeTable, seed: int) -> dict[str, CodeTable]:
    """The tables to score by the suffix of their scores; `_active` is the table if all are."""
    if table.logvar is None:
        return {"": table}
    # latent by latent, so that a further one leaves the samples of the others as they are
    noise = np.random.default_rng(seed).standard_normal(table.codes.T.shape).T
    sampled = (table.codes + np.exp(table.logvar / 2) * noise).astype(table.codes.dtype)
    active = informative_latents(table.codes, table.logvar)
    kept = table.codes[:, active] if active.any() else np.zeros((table.n_rows, 1))
    return {
        "": table,
        SAMPLED: table.with_codes(sampled),
        ACTIVE: table if active.all() else table.with_codes(kept),
    }
