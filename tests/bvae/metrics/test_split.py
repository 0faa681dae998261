import numpy as np
import pytest
from numpy.typing import NDArray

from bvae.exceptions import DataError
from bvae.metrics.split import split
from bvae.metrics.table import code_table

Ints = NDArray[np.int64]


def row_numbers(factors: Ints) -> NDArray[np.float64]:
    """A code that tells the rows apart."""
    return np.arange(len(factors))[:, None] * 1.0


@pytest.mark.parametrize(
    ("wanted", "got"),
    [((200, 100), (200, 100)), ((320, 160), (320, 160)), ((10_000, 5_000), (320, 160))],
)
def test_rows_are_disjoint_and_as_many_as_there_are(
    factors: Ints, wanted: tuple[int, int], got: tuple[int, int]
) -> None:
    """No row is in both parts; a small table is divided in the same proportion."""
    table = code_table(row_numbers(factors), factors)
    parts = split(table, n_train=wanted[0], n_eval=wanted[1], rng=np.random.default_rng(0))
    train, test = parts.codes_train[:, 0].astype(int), parts.codes_eval[:, 0].astype(int)

    assert got == (len(set(train)), len(set(test)))
    assert not set(train) & set(test)
    assert np.array_equal(factors[train], parts.factors_train)
    assert np.array_equal(factors[test], parts.factors_eval)


def test_every_class_of_a_table_is_learnt() -> None:
    """Rare classes of sampled rows are trained on in addition, and no row is in both parts."""
    classes = np.append(np.repeat(np.arange(30), 3), 30)[:, None]
    factors = np.hstack([classes, classes % 2])
    parts = split(
        code_table(row_numbers(factors), factors),
        n_train=20,
        n_eval=10,
        rng=np.random.default_rng(0),
    )

    assert np.array_equal(np.arange(31), np.unique(parts.factors_train[:, 0]))
    assert 31 <= len(parts.codes_train) <= 20 + 31
    assert 0 < len(parts.codes_eval) <= 10
    assert not set(parts.codes_train[:, 0]) & set(parts.codes_eval[:, 0])


def test_a_table_of_few_rows_has_none_to_evaluate() -> None:
    """Where every row is needed to learn its class, nothing can be tested."""
    factors = np.array([[0, 0], [0, 1], [0, 0], [1, 1], [1, 0], [2, 1]])

    with pytest.raises(DataError, match="there are only 6 rows"):
        split(
            code_table(factors * 1.0, factors), n_train=5, n_eval=1, rng=np.random.default_rng(14)
        )


def test_says_which_class_cannot_be_learnt() -> None:
    """On a lattice a class without a training row is an error, not one that is never answered."""
    factors = np.indices((30, 2)).reshape(2, -1).T
    table = code_table(factors * 1.0, factors)

    with pytest.raises(DataError, match=r"every class, but factor 0 has 30 classes and only 10"):
        split(table, n_train=10, n_eval=5, rng=np.random.default_rng(0))
