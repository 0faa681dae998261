"""Writes down a study whose trials were all trained to the end, for replays.

Run, some two hours on two cores, then:

    bvae -m experiment=quick study=replay tracker=none \
        beta=0.25,1,4,8,16,32,64 latent_dim=3,5,10,20 seed=0,1,2,3,4,5
    python docs/replay/record.py runs/replay

`trials.csv` has the scores of every trial, `histories.csv` the validation MIG.
"""

import sys
from pathlib import Path

import pandas as pd

from sweeps import load_study
from sweeps.study.study import Study

HERE = Path(__file__).resolve().parent
COORDINATES = ["beta", "latent_dim", "seed"]


def main(folder: Path) -> None:
    """Write both tables of a finished study."""
    study = load_study(folder)
    frame = study.frame()
    frame = frame[frame["state"] == "complete"]
    scores = [*study.score_names, "recon", "kl", "active_latents"]
    table = frame[["slug", *COORDINATES, *scores]].sort_values(["seed", "latent_dim", "beta"])
    written = table.drop(columns="slug")
    written.to_csv(HERE / "trials.csv", index=False, float_format="%.5g", lineterminator="\n")
    rows = pd.concat(validations(study, row) for row in table.to_dict("records"))
    rows.to_csv(HERE / "histories.csv", index=False, float_format="%.5g", lineterminator="\n")


def validations(study: Study, row: dict[str, object]) -> pd.DataFrame:
    """Return the validation steps of a trial, and its MIG there."""
    history = pd.read_csv(study.folder.trial(str(row["slug"])).history)
    found = history.loc[history["scores/mig"].notna(), ["step", "scores/mig"]]
    coordinates = {name: row[name] for name in COORDINATES}
    return found.rename(columns={"scores/mig": "mig"}).assign(**coordinates)[
        [*COORDINATES, "step", "mig"]
    ]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
