"""Score the codes of any model: `python -m bvae.metrics CODES.npz [--protocol NAME]`."""

import argparse
import json
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bvae.data.labels import dropped
from bvae.exceptions import BvaeError, DataError
from bvae.metrics.draws import FROM_TABLE
from bvae.metrics.families import ScoreValue
from bvae.metrics.protocols import PROTOCOLS
from bvae.metrics.scoring import Scores, score_table


class Arrays(NamedTuple):
    """What a file of codes holds, as `bvae.metrics.score` wants it."""

    codes: NDArray[Any]
    factors: NDArray[Any]
    logvar: NDArray[Any] | None
    names: tuple[str, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print every score of a file, and why others are missing; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        arrays = read_arrays(options.file)
        scores = score_table(
            arrays.codes,
            arrays.factors,
            logvar=arrays.logvar,
            protocol=options.protocol,
            seed=options.seed,
            drop=dropped(arrays.names) if options.drop is None else options.drop,
        )
    except BvaeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(asdict(scores), indent=2) if options.json else _report(scores, arrays.names))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bvae.metrics",
        description="Score a table of codes against the factors of its images.",
    )
    parser.add_argument(
        "file",
        type=Path,
        metavar="CODES.npz",
        help="arrays codes [n, M] (or mu), factors [n, K] (or factor_sizes [K] of a lattice whose "
        "rows are in order), NaN where a class is not known, and factor_names [K]; for scores of "
        "samples and of active latents, logvar [n, M]",
    )
    parser.add_argument("--protocol", choices=PROTOCOLS, default="locatello2019")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--drop",
        type=int,
        nargs="+",
        metavar="COLUMN",
        help="columns of factors that vary but are not asked for; otherwise none, and of factors "
        "with the names of dSprites the one that the protocol does not ask for",
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    return parser


def read_arrays(path: Path) -> Arrays:
    """Read codes, factors and, if there, log-variances from an .npz file.

    Raises:
        DataError: the file cannot be read, or lacks an array.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            held = dict(file)
    except (OSError, EOFError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise DataError(f"Expected an .npz file of arrays, but {path} is none: {error}") from error
    codes = _first(held, "codes", "mu")
    if "factors" not in held and "factor_sizes" in held:
        held["factors"] = np.indices(held["factor_sizes"]).reshape(len(held["factor_sizes"]), -1).T
    factors = _first(held, "factors")
    names = tuple(map(str, held.get("factor_names", range(factors.shape[-1]))))
    if len(names) != factors.shape[-1]:
        raise DataError(f"Expected a name for each column of `factors`, but got {list(names)}.")
    return Arrays(codes, factors, held.get("logvar"), names)


def _first(held: Mapping[str, NDArray[Any]], *names: str) -> NDArray[Any]:
    for name in names:
        if name in held:
            return held[name]
    raise DataError(
        f"Expected an array {' or '.join(names)}, but the file holds {', '.join(held) or 'none'}."
    )


def _report(scores: Scores, names: Sequence[str]) -> str:
    table = f"{scores.n_rows} rows, {scores.n_latents} latents"
    lattice = f"a full lattice of {scores.lattice}" if scores.lattice else "not a full lattice"
    heading = [
        f"{table}, {lattice}; {_asked(scores, names)}",
        *([] if scores.lattice else [FROM_TABLE]),
        *(f"factor {names[k]}: left out, it has {why}" for k, why in scores.left_out.items()),
        *(
            f"factor {names[k]}: known in {known} rows"
            for k, known in zip(scores.factors, scores.n_known, strict=True)
            if known < scores.n_rows
        ),
        f"protocol {scores.protocol}, seed {scores.seed}, {scores.wall_time_s:.1f} s",
        "",
        f"{'score':<29}{'value':>7}{'spread':>8}{'chance':>8}{'corrected':>11}  per factor",
    ]
    rows = [_row(name, score) for name, score in scores.scores.items()]
    missing = [f"{name:<29}missing. {reason}" for name, reason in scores.missing.items()]
    return "\n".join(heading + rows + missing)


def _asked(scores: Scores, names: Sequence[str]) -> str:
    asked = ", ".join(names[k] for k in scores.factors)
    others = [*scores.factors, *scores.left_out]
    dropped = ", ".join(name for k, name in enumerate(names) if k not in others)
    return f"factors asked for: {asked}" + (f"; not asked for: {dropped}" if dropped else "")


def _row(name: str, score: ScoreValue) -> str:
    spread = "" if score.spread is None else f"{score.spread:.3f}"
    per_factor = " ".join(f"{value:.2f}" for value in score.per_factor)
    return (
        f"{name:<29}{score.value:>7.3f}{spread:>8}{score.chance:>8.3f}"
        f"{score.chance_corrected:>11.3f}  {per_factor}".rstrip()
    )


if __name__ == "__main__":
    sys.exit(main())
