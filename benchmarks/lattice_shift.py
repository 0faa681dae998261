"""How far do scores move when all images of the data set are scored, not a part of the lattice?

Run: OMP_NUM_THREADS=1 python -m benchmarks.lattice_shift RUNS/STUDY

Takes the best, the median and the worst complete trial of a study by its objective, encodes every
image of the data set, and scores by the study's protocol and the trial's seed. On one core some
20 s a trial of dsprites32 (184,320 images) by `fast`, four times as long for dsprites.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table

from bvae import checks, config, evaluate
from bvae.codes import Codes, score
from bvae.trial import TrialFolder
from bvae.weights import load
from sweeps import load_study
from sweeps.study.study import Study


def main(folder: Path) -> None:
    """Print a row for each score: on the part, on all images, and the shift, for each trial."""
    study = load_study(folder)
    manifest, trials = study.manifest, chosen(study)
    whole = {slug: encoded(study.folder.trial(slug)) for slug in trials.values()}
    lattices = {codes.labels.name for codes in whole.values() if codes.labels}
    print(f"{study.name}: {manifest.protocol} on {manifest.lattice}, then on {', '.join(lattices)}")
    moved = {slug: scored(study, slug, codes) for slug, codes in whole.items()}
    table = Table(box=None, pad_edge=False)
    table.add_column("score")
    for rank, slug in trials.items():
        table.add_column(f"{rank}: {slug}", justify="right")
    for name in next(iter(moved.values())):
        configurations = [
            (study.results[slug].scores[name], moved[slug][name]) for slug in trials.values()
        ]
        table.add_row(
            name,
            *(f"{part:.3f} → {all_:.3f} ({all_ - part:+.3f})" for part, all_ in configurations),
        )
    Console(width=140).print(table)


def scored(study: Study, slug: str, codes: Codes) -> Mapping[str, float]:
    """The scores of all images, by the study's protocol and the trial's seed."""
    seed = int(study.results[slug].point["seed"])
    return score(codes, protocol=study.manifest.protocol, seed=seed).values


def chosen(study: Study) -> dict[str, str]:
    """The best, the median and the worst complete trial by the study's objective."""
    complete = [slug for slug, state in study.states.items() if state == "complete"]
    objective = study.manifest.objective
    ranked = sorted(complete, key=lambda slug: study.results[slug].scores[objective])
    return {"best": ranked[-1], "median": ranked[len(ranked) // 2], "worst": ranked[0]}


def encoded(folder: TrialFolder) -> Codes:
    """Every image of the data set that the trial was trained on, in codes."""
    composed: Any = OmegaConf.load(folder.config)
    dataset = checks.prepare(config.parse(composed))
    labels, rows = evaluate.scored_part(dataset, None)
    return evaluate.encode(load(folder.root), dataset, rows=rows, labels=labels)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
