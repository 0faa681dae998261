"""The scores by name: what each is called, what it is a score of, and the values it may have.

Names only: nothing is imported here that takes time.
"""

from dataclasses import dataclass, replace
from math import inf

SAMPLED, ACTIVE = "_sampled", "_active"
"""Ends of a score's name: computed on samples of the posterior, or on the active latents alone."""

VARIANT_LABELS = {SAMPLED: "sampled codes", ACTIVE: "active latents only"}
"""What follows the label of such a score, by the end of its name."""


@dataclass(frozen=True)
class Score:
    """What is known of a score before it is computed; a higher value is better.

    Attributes:
        name: the key in `result.json` and the column of tables.
        label: the name as people write it.
        per_configuration: whether it compares the seeds of a configuration, so that no trial has
            it alone.
        low: the lowest value.
        high: the highest value.
        representation: "mean", "sampled" or "active": what it is computed on.
    """

    name: str
    label: str
    per_configuration: bool = False
    low: float = 0.0
    high: float = 1.0
    representation: str = "mean"


UDR = "udr"
"""The name of the score by Lasso; `udr_spearman` is that by rank correlation."""

LASSO_ALPHA = 0.1
"""Penalty of the Lasso of `udr`, which shrinks the weight of equal codes from 1 by as much."""

_OF_A_TRIAL = (
    Score("beta_vae", "Higgins (β-VAE) score"),
    Score("factor_vae", "FactorVAE score"),
    Score("mig", "MIG"),
    Score("sap", "SAP"),
    Score("dci_disentanglement", "DCI disentanglement"),
    Score("dci_completeness", "DCI completeness"),
    Score("dci_informativeness", "DCI informativeness"),
    Score("modularity", "Modularity"),
    Score("explicitness", "Explicitness"),
)
_OF_A_CONFIGURATION = (
    Score(UDR, "UDR", per_configuration=True, high=1 - LASSO_ALPHA),
    Score("udr_spearman", "UDR (Spearman)", per_configuration=True),
)
_BY_NAME = {score.name: score for score in (*_OF_A_TRIAL, *_OF_A_CONFIGURATION)}

SCORE_NAMES = tuple(score.name for score in _OF_A_TRIAL)
"""Scores of a trial, which need factors; each has all three representations."""

UDR_NAMES = tuple(score.name for score in _OF_A_CONFIGURATION)
"""Scores of a configuration, which need no factors but seeds; of the mean representation alone."""


def score_named(name: str) -> Score:
    """Return the score of that name; one that is not known is a trial's, of any value.

    >>> score_named("mig_sampled").label, score_named("udr").per_configuration
    ('MIG, sampled codes', True)
    >>> score_named("my_score")
    Score(name='my_score', label='my_score', per_configuration=False, low=-inf, high=inf, \
representation='mean')
    """
    if name in _BY_NAME:
        return _BY_NAME[name]
    for suffix, words in VARIANT_LABELS.items():
        stem = name.removesuffix(suffix)
        if stem != name and stem in SCORE_NAMES:
            label = f"{_BY_NAME[stem].label}, {words}"
            return replace(_BY_NAME[stem], name=name, label=label, representation=suffix[1:])
    return Score(name, name, low=-inf, high=inf)
