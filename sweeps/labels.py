"""How scores, numbers and durations are written; what is missing, None or NaN, is a dash."""

import contextlib
import math
from pathlib import Path

from bvae.metrics.scores import score_named

LOSSES = {
    "recon": "Reconstruction (nats)",
    "kl": "KL (nats)",
    "total_loss": "Loss (nats)",
}
COLUMNS = {
    "beta": "β",
    "latent_dim": "latents",
    "seed": "seed",
    "active_latents": "active latents",
    "wall_time_s": "time",
}
"""Heads of the columns of trials that are neither scores nor losses."""

NOTHING = "–"


def is_known(value: float | None) -> bool:
    """Whether there is a number to write.

    >>> is_known(0.0), is_known(None), is_known(math.nan)
    (True, False, False)
    """
    return value is not None and math.isfinite(value)


def score_label(name: str) -> str:
    """Return the name of a score or a loss as people write it.

    >>> score_label("mig_sampled"), score_label("my_score")
    ('MIG, sampled codes', 'my_score')
    """
    return LOSSES.get(name) or score_named(name).label


def number(value: float | None, *, digits: int = 3) -> str:
    """Write a number in so many significant digits, never in powers of ten unless it must.

    >>> number(0.123456), number(999.6), number(4.0), number(float("nan"))
    ('0.123', '1000', '4', '–')
    """
    if value is None or not math.isfinite(value):
        return NOTHING
    rounded = f"{value:.{digits}g}"
    return f"{value:.0f}" if abs(float(rounded)) >= 10**digits else rounded


def span(low: float, high: float) -> str:
    """Write a range of numbers, or the only one.

    >>> span(1, 16), span(4, 4)
    ('1 to 16', '4')
    """
    return number(low) if low == high else f"{number(low)} to {number(high)}"


def score_text(value: float | None) -> str:
    """Write a score with three decimals, so that columns of scores can be compared.

    >>> score_text(0.5), score_text(float("nan")), score_text(None)
    ('0.500', '–', '–')
    """
    return f"{value:.3f}" if value is not None and math.isfinite(value) else NOTHING


def signed(value: float | None) -> str:
    """Write the difference of two scores.

    >>> signed(0.5), signed(None)
    ('+0.500', '–')
    """
    return f"{value:+.3f}" if value is not None and math.isfinite(value) else NOTHING


def interval(low: float | None, high: float | None) -> str:
    """Write an interval of a score, nothing when it has no ends.

    >>> interval(0.1, 0.25), interval(float("nan"), float("nan"))
    ('0.100 to 0.250', '–')
    """
    if not (is_known(low) and is_known(high)):
        return NOTHING
    return f"{low:.3f} to {high:.3f}"


def quantity(value: float | None, name: str) -> str:
    """Write a number of a trial by the name of its column: a score, a loss, a time or another.

    >>> quantity(0.25, "mig"), quantity(4.0, "beta"), quantity(75.0, "wall_time_s")
    ('0.250', '4', '1 min 15 s')
    """
    if name == "wall_time_s":
        return duration(value)
    if name in COLUMNS:
        return number(value)
    return number(value, digits=4) if name in LOSSES else score_text(value)


def seeds(n: int, score: str) -> str:
    """Say of how many seeds a mean is; two seeds have one score of a configuration, as UDR is.

    >>> seeds(3, "mig"), seeds(1, "mig"), seeds(1, "udr")
    ('3 seeds', '1 seed', '2 seeds, which have one UDR')
    """
    if n == 1 and score_named(score).per_configuration:
        return f"2 seeds, which have one {score_label(score)}"
    return counted(n, "seed")


def counted(n: int, noun: str) -> str:
    """Write how many there are of something.

    >>> counted(1, "trial"), counted(3, "trial")
    ('1 trial', '3 trials')
    """
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def more_seeds(n: int) -> str:
    """Write how many seeds are to be added.

    >>> more_seeds(1), more_seeds(4)
    ('1 more seed', '4 more seeds')
    """
    return counted(n, "more seed")


def duration(seconds: float | None) -> str:
    """Write a duration in the two units that matter.

    >>> duration(42.4), duration(125), duration(7384), duration(float("nan"))
    ('42 s', '2 min 5 s', '2 h 3 min', '–')
    """
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def size(n_bytes: float) -> str:
    """Write the size of files.

    >>> size(0), size(1536), size(8_432_000)
    ('0 B', '1.54 kB', '8.43 MB')
    """
    units = ("B", "kB", "MB", "GB", "TB")
    power = next((place for place in range(len(units)) if n_bytes < 999.5 * 1000**place), 4)
    return f"{number(n_bytes / 1000**power)} {units[power]}"


def clock(seconds: float | None) -> str:
    """Write a duration in hours, minutes and seconds, as short as a live table needs it.

    >>> clock(75), clock(3700), clock(None)
    ('1:15', '1:01:40', '–')
    """
    if seconds is None:
        return NOTHING
    minutes, second = divmod(round(seconds), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02d}:{second:02d}" if hour else f"{minute}:{second:02d}"


def shown(path: Path) -> str:
    """Return a path as short as it can be typed from here."""
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)
