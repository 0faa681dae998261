"""Softmax regression: the linear classifier behind the β-VAE score and explicitness.

Shapes: n rows, D features, C classes.
"""

import warnings
from typing import Any

import numpy as np

from bvae.metrics.table import Floats, Ints


def fitted(features: Floats, classes: Ints, *, C: float, tol: float = 1e-4) -> Any:
    """Minimise |W|²/2 + C Σ_i -ln p(y_i | x_i) with scikit-learn, in 100 steps at most.

    Like the reference implementations it may stop before it has converged: no warning is given.
    """
    # Imported here: a second, which importing this module need not cost.
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=C, tol=tol).fit(features, classes)


def standardised(features: Floats, *, by: Floats) -> Floats:
    """Return features [n, D] minus the mean and over the standard deviation of `by` [m, D].

    A column that is constant in `by` is only shifted.

    Example:
        >>> standardised(np.array([[3.0, 5.0]]), by=np.array([[0.0, 4.0], [2.0, 4.0]])).tolist()
        [[2.0, 1.0]]
    """
    scale = np.where(np.ptp(by, axis=0) > 0, by.std(axis=0), 1)
    result: Floats = (features - by.mean(axis=0)) / scale
    return result
