"""Separated attribute predictability (Kumar et al. 2018): does one latent alone predict a factor?

Shapes: n rows, M latents, K factors, J = Σ_k sizes[k] classes of all factors together.

Each latent-factor pair has its own linear support vector machine on a single feature, one-vs-rest.
One feature makes the exact solution cheap: the rows inside the margin are those on one side of a
threshold, so that every sum over them is a difference of two running sums, and Newton's method
solves the problems of all classes of all factors at once (see `margins`).
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from bvae.metrics.evaluation import Evaluation
from bvae.metrics.split import Split, split
from bvae.metrics.table import CodeTable, Floats, Ints

PENALTY = 0.01  # C of the reference's support vector machines
_MAX_STEPS = 100  # on 4,000 tables drawn at random Newton's method never took more than 21


def sap(table: CodeTable, *, n_train: int, n_eval: int, rng: np.random.Generator) -> Evaluation:
    """SAP = (1/K) Σ_k (a_(1)k - a_(2)k): the gap between the two latents that predict v_k best.

    a_jk is the accuracy, on `n_eval` rows, of a linear support vector machine that predicts the
    class of factor k from latent j alone, fitted on `n_train` rows (squared hinge loss, C = .01,
    balanced classes, one-vs-rest: scikit-learn's LinearSVC). With one latent the runner-up is the
    answer "the most frequent class".

    Range 0 … 1; chance 0, also the value of a constant code or of two equal latents. The ceiling is
    far below 1, since 40 classes on a line are not separable one-vs-rest: .23 for a perfect code
    of dSprites, .26 of `dsprites32`. The penalty makes it depend on the scale of the codes.
    `per_factor` is each gap.

    Source: Kumar et al. 2018, "Variational inference of disentangled latent concepts", §3, with the
    settings of Locatello et al. 2019.

    Raises:
        DataError: too few rows to train on.

    Example:
        >>> from bvae.metrics.table import code_table
        >>> factors = np.indices((2, 2, 2, 50)).reshape(4, -1).T
        >>> table = code_table(factors[:, :3] * 4.0, factors[:, :3])
        >>> round(sap(table, n_train=200, n_eval=200, rng=np.random.default_rng(0)).value, 1)
        0.5
    """
    gaps = np.empty(table.n_factors)
    for columns, part in table.complete_parts():
        gaps[columns] = _gaps(part, split(part, n_train=n_train, n_eval=n_eval, rng=rng))
    return Evaluation(float(gaps.mean()), 0.0, tuple(gaps.tolist()))


def _gaps(table: CodeTable, parts: Split) -> NDArray[np.float64]:
    """The gap of each factor [K] of a table without unknown classes."""
    accuracies = latent_accuracies(parts, table.sizes)
    if table.n_latents == 1:
        runner_up = np.minimum(accuracies, parts.most_frequent_accuracies())
        accuracies = np.vstack([accuracies, runner_up])
    runner_up, best = np.sort(accuracies, axis=0)[-2:]
    gaps: NDArray[np.float64] = best - runner_up
    return gaps


def latent_accuracies(parts: Split, sizes: tuple[int, ...]) -> NDArray[np.float64]:
    """Accuracy on the evaluation rows [M, K] of predicting factor k from latent j alone."""
    ends = np.cumsum(sizes)[:-1]
    accuracies = np.empty((parts.codes_eval.shape[1], len(sizes)))
    for j, (train, test) in enumerate(zip(parts.codes_train.T, parts.codes_eval.T, strict=True)):
        slope, offset = margins(train, parts.factors_train, sizes)
        decision = test[:, None] * slope + offset
        answers = [part.argmax(axis=1) for part in np.split(decision, ends, axis=1)]
        accuracies[j] = (np.stack(answers, axis=1) == parts.factors_eval).mean(axis=0)
    return accuracies


def margins(x: Floats, factors: Ints, sizes: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Slope w and offset b [J] of the support vector machines of feature x [n], one for each class.

    With t = +1 for the rows of the class and -1 for the others, each minimises
    (w² + b²)/2 + Σ_i c_i max(0, 1 - t_i (w x_i + b))². Newton's step solves, with sums over the
    rows inside the margin, (I + 2 Σ c [[x², x], [x, 1]]) (w, b) = 2 Σ c t (x, 1).
    """
    sums = _RunningSums.of(x, factors, sizes)
    c_own, c_other = _penalties(factors, sizes)
    w, b = np.zeros(len(c_own)), np.zeros(len(c_own))
    for _ in range(_MAX_STEPS):
        own, other = sums.inside_margin(w, b)
        n, x1, x2 = 2 * (c_own * own + c_other * other)
        tn, tx, _ = 2 * (c_own * own - c_other * other)
        determinant = (1 + x2) * (1 + n) - x1**2
        w_before, b_before = w, b
        w = ((1 + n) * tx - x1 * tn) / determinant
        b = ((1 + x2) * tn - x1 * tx) / determinant
        if np.allclose([w, b], [w_before, b_before], rtol=0, atol=1e-9):
            break
    return w, b


def _penalties(factors: Ints, sizes: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Penalty c [J] of a row of the class and of a row of another class.

    As in LIBLINEAR, only the class's own rows carry its balancing weight n / (sizes[k] n_class),
    unless the factor has two classes.
    """
    weights = [
        len(factors) / (size * np.bincount(factors[:, k], minlength=size))
        for k, size in enumerate(sizes)
    ]
    others = [weight[::-1] if len(weight) == 2 else np.ones(len(weight)) for weight in weights]
    return PENALTY * np.concatenate(weights), PENALTY * np.concatenate(others)


@dataclass(frozen=True)
class _RunningSums:
    """Sums of 1, x and x² over the rows below a threshold, in each class and in all rows.

    Attributes:
        x: the feature in ascending order [n].
        whole: running sums over all rows [3, n + 1].
        key: class number times n plus rank, for every row and factor, ascending [K n].
        within: running sums in the order of the keys [3, K n + 1].
    """

    x: Floats
    whole: Floats
    key: Ints
    within: Floats
    n_classes: int

    @classmethod
    def of(cls, x: Floats, factors: Ints, sizes: tuple[int, ...]) -> Self:
        """Sort the feature once for all rows and once for each factor's classes."""
        order = np.argsort(x)
        x = x[order].astype(np.float64)
        powers = np.stack([np.ones(len(x)), x, x**2])
        classes = (factors[order] + np.cumsum((0, *sizes[:-1]))).T
        # small integers are sorted by radix, in a tenth of the time
        ranks = np.argsort(classes.astype(np.min_scalar_type(sum(sizes))), kind="stable")
        key = np.take_along_axis(classes, ranks, axis=1) * len(x) + ranks
        return cls(
            x=x,
            whole=_running(powers),
            key=key.ravel(),
            within=_running(powers[:, ranks.ravel()]),
            n_classes=sum(sizes),
        )

    def inside_margin(self, w: Floats, b: Floats) -> tuple[Floats, Floats]:
        """Sums [3, J] over the rows of each class with w x + b < 1, and of others with > -1."""
        own_below, _ = self._below(_crossing(1 - b, w))
        class_below, all_below = self._below(_crossing(-1 - b, w))
        own_all, _ = self._below(np.full(len(w), np.inf))
        other_below = all_below - class_below
        other_all = self.whole[:, -1:] - own_all
        rising = w >= 0
        own = np.where(rising, own_below, own_all - own_below)
        other = np.where(rising, other_all - other_below, other_below)
        return own, other

    def _below(self, threshold: Floats) -> tuple[Floats, Floats]:
        """Sums [3, J] over the rows with x < threshold[j], of class j and of all classes."""
        rank = np.searchsorted(self.x, threshold)
        start = np.arange(self.n_classes) * len(self.x)
        first, last = np.searchsorted(self.key, [start, start + rank])
        return self.within[:, last] - self.within[:, first], self.whole[:, rank]


def _running(values: Floats) -> Floats:
    """Sums over the first 0, 1, … columns of values [3, n]: [3, n + 1]."""
    return np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)


def _crossing(level: Floats, w: Floats) -> Floats:
    """The x at which w x reaches `level`; a flat line is taken to rise by next to nothing."""
    return np.divide(level, w, out=np.copysign(np.inf, level), where=w != 0)
