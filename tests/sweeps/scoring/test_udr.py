import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sweeps import load_study
from sweeps.analysis.table import score_names, trials_table
from sweeps.commands.conclude import described
from sweeps.scoring import udr as module
from sweeps.scoring.udr import refresh
from sweeps.study.study import Study
from tests.doubles.frames import best_configurations
from tests.doubles.studies import make_study, trials, write_result


def write_codes(study: Study, slug: str, mu: np.ndarray, *, rows: np.ndarray | None = None) -> None:
    """Write the codes of informative latents into a trial's folder."""
    path = study.folder.trial(slug).codes
    path.parent.mkdir(parents=True, exist_ok=True)
    known = np.arange(len(mu)) if rows is None else rows
    logvar = np.full_like(mu, -3)
    np.savez(path, mu=mu.astype(np.float16), logvar=logvar.astype(np.float16), rows=known)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """β = 1, whose three seeds have nothing in common, and β = 4, whose seeds are the same."""
    made = make_study(tmp_path / "tested", trials(seed=[0, 1, 2]), objective="udr")
    for i, trial in enumerate(made.trials):
        write_result(made, trial, scores={})
        seed = i if trial.values["beta"] == 1 else 99
        write_codes(made, trial.slug, np.random.default_rng(seed).normal(size=(500, 3)))
    return load_study(made.folder.root)


def slug(beta: int, seed: int) -> str:
    """Return the name of a trial."""
    return f"beta={beta},latent_dim=5,seed={seed}"


def test_it_is_a_score_like_any_other(study: Study) -> None:
    """In the frame, among the names, and for the best configuration."""
    known = refresh(study)

    assert ("udr", "udr_spearman") == score_names(known)
    frame = trials_table(known).set_index("slug")
    assert frame.loc[slug(4, 0), "udr"] == pytest.approx(0.9, abs=0.05)
    assert frame.loc[slug(1, 0), "udr"] == pytest.approx(0, abs=0.05)
    best = best_configurations(trials_table(known), score="udr").overall
    assert best is not None
    assert (4, 3) == (best.beta, best.n)


def test_two_seeds_have_no_interval(study: Study) -> None:
    """They have one UDR between them: nothing says how far others would lie from it."""
    for beta in (1, 4):
        study.folder.trial(slug(beta, 2)).result.unlink()
    frame = trials_table(refresh(load_study(study.folder.root)))

    best = best_configurations(frame[frame["seed"] < 2], score="udr").overall

    assert best is not None
    assert (4, 1) == (best.beta, best.n)
    assert np.isnan([best.low, best.high]).all()
    assert described(best).endswith("(2 seeds, which have one UDR: no interval)")


def test_intervals_are_wider_than_those_of_independent_scores(study: Study) -> None:
    """Seeds that share their pairs scatter less than they tell."""
    frame = trials_table(refresh(study))
    frame["plain"] = frame["udr"] = [0.4, 0.5, 0.5, 0.6, 0.6, 0.7]

    udr, plain = (best_configurations(frame, score=name).overall for name in ("udr", "plain"))

    assert udr is not None
    assert plain is not None
    assert udr.mean == pytest.approx(plain.mean)
    assert udr.high - udr.low == pytest.approx(4 * (plain.high - plain.low))


def test_what_is_known_is_not_computed_again(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the configuration whose codes have changed is."""
    refresh(study)
    computed: list[int] = []
    real = module.udr
    monkeypatch.setattr(module, "udr", lambda models: computed.append(len(models)) or real(models))

    refresh(load_study(study.folder.root))
    assert [] == computed

    write_codes(study, slug(4, 1), np.random.default_rng(5).normal(size=(500, 3)))
    frame = trials_table(refresh(load_study(study.folder.root))).set_index("slug")
    assert [3] == computed
    assert frame.loc[slug(4, 0), "udr"] == pytest.approx(0.45, abs=0.05)


def test_a_configuration_needs_two_seeds(study: Study) -> None:
    """With one complete seed there is no value, with two there is one for these."""
    for seed in (1, 2):
        study.folder.trial(slug(4, seed)).result.unlink()
    study.folder.trial(slug(1, 2)).result.unlink()

    frame = trials_table(refresh(load_study(study.folder.root))).set_index("slug")

    assert frame["udr"].notna().to_dict() == {
        slug(beta, seed): beta == 1 and seed < 2 for beta in (1, 4) for seed in range(3)
    }


def test_codes_that_cannot_be_compared_are_left_out(study: Study) -> None:
    """Damaged ones, and those of other images; the other seeds are compared without."""
    study.folder.trial(slug(4, 0)).codes.write_bytes(b"no archive")
    write_codes(study, slug(1, 2), np.zeros((500, 3)), rows=np.arange(500) + 1)

    frame = trials_table(refresh(study)).set_index("slug")

    assert frame["udr"].notna().to_dict() == {
        slug(4, 0): False,
        slug(4, 1): True,
        slug(4, 2): True,
        slug(1, 0): True,
        slug(1, 1): True,
        slug(1, 2): False,
    }
    assert np.isfinite(frame.loc[slug(4, 1), "udr"])


@pytest.mark.parametrize(
    "content",
    [
        *("", "[]", "{", "[" * 100_000, '{"schema": 0, "cells": [1]}'),
        *(f'{{"schema": 1, "cells": {cells}}}' for cells in ('"text"', "[1]", '[{"codes": null}]')),
        '{"schema": 1, "cells": [{"codes": {"a": "text"}, "scores": {}}]}',
        '{"schema": 1, "cells": [{"codes": {}, "scores": {"a": {"udr": "text"}}}]}',
    ],
)
def test_a_damaged_file_is_computed_anew(study: Study, content: str) -> None:
    """What cannot be read is no reason to stop."""
    study.folder.udr.write_text(content)

    assert () == score_names(load_study(study.folder.root))
    assert "udr" in score_names(refresh(load_study(study.folder.root)))


def test_a_study_without_codes_stays_as_it_is(tmp_path: Path) -> None:
    """Nothing is written where nothing can be compared."""
    made = make_study(tmp_path / "tested")
    for trial in made.trials:
        write_result(made, trial)

    assert ("mig",) == score_names(refresh(load_study(made.folder.root)))
    assert not made.folder.udr.exists()


def test_it_stands_in_a_file_anyone_can_read(study: Study) -> None:
    """Values by trial, configuration by configuration."""
    refresh(study)

    (first, second) = json.loads(study.folder.udr.read_text())["cells"]
    assert {slug(1, 0), slug(1, 1), slug(1, 2)} in (set(first["scores"]), set(second["scores"]))


@pytest.mark.parametrize("arguments", [["best", "--score", "udr"], ["report"]])
@pytest.mark.slow
def test_commands_bring_it_up_to_date_without_torch(study: Study, arguments: list[str]) -> None:
    """`sweeps best --score udr` and `sweeps report` know it, also before a command has ended."""
    command, *options = arguments
    code = (
        "import sys; from sweeps.__main__ import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, command, str(study.folder.root), *options],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )

    assert study.folder.udr.exists()
    if command == "best":
        assert "* beta=4 latent_dim=5  udr 0.8" in done.stdout or "udr 0.9" in done.stdout
