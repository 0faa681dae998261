"""How scores and numbers are written for people."""

import contextlib
import math
from pathlib import Path

from bvae.metrics.scores import UDR_NAMES, VARIANT_LABELS, score_named

LOSSES = {
    "recon": "Reconstruction (nats)",
    "kl": "KL (nats)",
    "loss": "Loss (nats)",
}
VARIANTS = VARIANT_LABELS
NOTHING = "–"


def score_label(name: str) -> str:
    """Return the name of a score or a loss as people write it.

    >>> score_label("mig_sampled"), score_label("my_score")
    ('MIG, sampled codes', 'my_score')
    """
    return LOSSES.get(name) or score_named(name).label


def number(value: object, *, digits: int = 3) -> str:
    """Write a number in so many significant digits, never in powers of ten unless it must.

    >>> number(0.123456), number(999.6), number(4.0), number(float("nan"))
    ('0.123', '1000', '4', '–')
    """
    if not isinstance(value, int | float) or not math.isfinite(value):
        return NOTHING
    rounded = f"{value:.{digits}g}"
    return f"{value:.0f}" if abs(float(rounded)) >= 10**digits else rounded


def score_text(value: float) -> str:
    """Write a score with three decimals, so that columns of scores can be compared.

    >>> score_text(0.5), score_text(float("nan"))
    ('0.500', '–')
    """
    return f"{value:.3f}" if math.isfinite(value) else NOTHING


def interval(low: float, high: float) -> str:
    """Write an interval of a score, nothing when it has no ends.

    >>> interval(0.1, 0.25), interval(float("nan"), float("nan"))
    ('0.100 to 0.250', '–')
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        return NOTHING
    return f"{low:.3f} to {high:.3f}"


def seeds(n: int, *, score: str) -> str:
    """Say of how many seeds a mean is; two seeds have one UDR.

    >>> seeds(3, score="mig"), seeds(1, score="mig"), seeds(1, score="udr")
    ('3 seeds', '1 seed', '2 seeds, which have one UDR')
    """
    if n == 1:
        return "2 seeds, which have one UDR" if score in UDR_NAMES else "1 seed"
    return f"{n} seeds"


def duration(seconds: float) -> str:
    """Write a duration in the two units that matter.

    >>> duration(42.4), duration(125), duration(7384), duration(float("nan"))
    ('42 s', '2 min 5 s', '2 h 3 min', '–')
    """
    if not math.isfinite(seconds):
        return NOTHING
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def shown(path: Path) -> str:
    """Return a path as short as it can be typed from here."""
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)
