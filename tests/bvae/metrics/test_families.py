from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from bvae.metrics.families import score_families
from bvae.metrics.protocols import FAST
from bvae.metrics.scores import SCORE_NAMES
from bvae.metrics.table import CodeTable, code_table

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SMALL = replace(FAST, n_train=300, n_eval=150, n_train_votes=300, n_eval_votes=150)


@pytest.fixture
def table(factors: Ints, entangled: Floats) -> CodeTable:
    """A middling code."""
    return code_table(entangled, factors)


@pytest.mark.slow
def test_no_score_depends_on_which_others_are_wanted(table: CodeTable) -> None:
    """Each score alone has the value it has among all."""
    together = score_families(table, SMALL, wanted=frozenset(SCORE_NAMES), seed=0).scores
    values = {name: (score.value, score.spread) for name, score in together.items()}
    alone = {
        name: (score.value, score.spread)
        for name in SCORE_NAMES
        for name, score in score_families(table, SMALL, wanted=frozenset([name]), seed=0)[0].items()
    }

    assert values == alone
    assert set(SCORE_NAMES) == set(values)


def test_value_and_spread_are_over_the_evaluations(table: CodeTable) -> None:
    """More evaluations go on where fewer stopped: means and deviations fit together."""
    wanted = frozenset(["factor_vae"])
    one, two = (
        score_families(table, replace(SMALL, n_evaluations=n), wanted=wanted, seed=0).scores[
            "factor_vae"
        ]
        for n in (1, 2)
    )
    second = 2 * two.value - one.value

    assert one.spread is None
    assert (1, 2) == (one.n_evaluations, two.n_evaluations)
    assert (one.value,) == one.evaluations
    assert pytest.approx((one.value, second)) == two.evaluations
    assert pytest.approx(np.std([one.value, second], ddof=1)) == two.spread
    assert two.spread > 0


def test_exact_scores_have_no_spread_and_costly_ones_one_evaluation(table: CodeTable) -> None:
    """MIG and modularity have nothing random; DCI and explicitness are computed once."""
    scores = score_families(table, SMALL, wanted=frozenset(SCORE_NAMES), seed=0).scores

    assert scores["mig"].spread == scores["modularity"].spread == 0
    assert {name for name, score in scores.items() if score.spread is None} == {
        "dci_disentanglement",
        "dci_completeness",
        "dci_informativeness",
        "explicitness",
    }


def test_circumstances_are_recorded(table: CodeTable) -> None:
    """L, the number of factors, chance and the corrected value stand with the score."""
    protocol = replace(SMALL, n_pairs=5, n_rows_per_vote=7)
    wanted = frozenset(["beta_vae", "factor_vae", "mig"])
    scores = score_families(table.without_factors((0,)), protocol, wanted=wanted, seed=0).scores
    beta_vae = scores["beta_vae"]

    assert [5, 7, None] == [scores[name].n_pairs for name in ("beta_vae", "factor_vae", "mig")]
    assert beta_vae.n_factors == len(beta_vae.per_factor) == 3
    assert pytest.approx(1 / 3) == beta_vae.chance
    assert pytest.approx((beta_vae.value - 1 / 3) / (2 / 3)) == beta_vae.chance_corrected
    assert scores["mig"].chance_corrected == scores["mig"].value
    assert beta_vae.wall_time_s > 0


@pytest.mark.parametrize("scale", [1e-3, 1e3])
@pytest.mark.slow
def test_a_scale_free_protocol_sees_no_scale(table: CodeTable, scale: float) -> None:
    """Every score stays where it is when the codes are multiplied, unlike with the others."""
    wanted = frozenset(SCORE_NAMES)
    free = replace(SMALL, is_scale_free=True, classifier="softmax")
    scaled = table.with_codes(table.codes * scale)
    plain, other = (
        {name: s.value for name, s in score_families(t, free, wanted=wanted, seed=0).scores.items()}
        for t in (table, scaled)
    )

    assert plain == pytest.approx(other, abs=0.005)
    bound = score_families(scaled, SMALL, wanted=wanted, seed=0).scores
    assert abs(bound["sap"].value - plain["sap"]) > 0.005
