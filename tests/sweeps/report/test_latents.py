"""What single latents hold."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweeps.analysis.summary import summarize
from sweeps.report.claims import paper_claims
from sweeps.report.latents import factor_map, latent_table, latent_views
from tests.doubles.reported import sections_of_page

SIZES = (3, 4, 1)


def write_codes(path: Path, mu: np.ndarray, sizes: tuple[int, ...] = SIZES) -> Path:
    """Write codes as a trial leaves them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    names = [f"factor {k}" for k in range(len(sizes))]
    logvar = np.where(mu.std(axis=0) > 0.1, -8, 0) * np.ones_like(mu)
    np.savez(
        path,
        mu=mu.astype(np.float16),
        logvar=logvar.astype(np.float16),
        factor_names=names,
        factor_sizes=np.array(sizes),
    )
    return path


def test_latent_that_copies_a_factor_knows_all_of_it(tmp_path: Path) -> None:
    """Share 1 for the copy, 0 for what says nothing; a factor of one class is left out."""
    first, second = np.indices((3, 4)).reshape(2, -1)
    path = write_codes(tmp_path / "codes.npz", np.stack([second, 0 * first, first], axis=1))
    names, shares = factor_map(path)
    assert names == ["factor 0", "factor 1"]
    assert shares == pytest.approx(np.array([[0, 1], [0, 0], [1, 0]]), abs=1e-9)


def test_data_without_factors_have_no_map(tmp_path: Path) -> None:
    """Neither have trials whose codes are gone or broken."""
    path = write_codes(tmp_path / "codes.npz", np.zeros((4, 2)), sizes=())
    (tmp_path / "broken.npz").write_bytes(path.read_bytes()[:100])
    assert [factor_map(tmp_path / name)[0] for name in ("codes.npz", "gone.npz", "broken.npz")] == [
        [], [], [],
    ]  # fmt: skip


def test_active_latents_are_shown_by_kl(make_study: Any) -> None:
    """A row for each, that of the highest KL first, with its shares; the inactive are named."""
    study = make_study()
    read = summarize(study)
    trial = read.best_trial(read.best[0])
    mu = np.random.default_rng(0).normal(size=(12, 5))
    write_codes(study.trial_folder(trial.slug) / "codes.npz", mu)
    views = latent_views(read)
    assert views is not None
    view, other = views
    result = study.results.get(trial.slug)
    by_kl = np.argsort(result.kl_per_latent)[::-1].tolist()
    assert [row.latent for row in view.rows] == by_kl[: result.active_latents]
    assert [row.kl_nats for row in view.rows] == sorted(result.kl_per_latent)[:-5:-1]
    assert (view.title, view.seed, view.rows[0].bar) == ("β 4, 5 latents", trial.seed, 100)
    assert (view.inactive, view.inactive_names) == (1, f"z{by_kl[-1]}")
    assert {len(row.shares) for row in view.rows} == {len(view.factors)} == {2}
    assert (other.factors, [row.shares for row in other.rows]) == ([], [[]] * len(other.rows))


def test_collapsed_model_has_no_row(make_study: Any, trials_of: Any, result_of: Any) -> None:
    """All its latents are named as inactive; where no KL is known there is no section."""
    (trial,) = trials_of(betas=(4,), latent_dims=(5,), seeds=(0,))
    collapsed = result_of(trial, active_latents=0, kl_per_latent=[0.0] * 5)
    page = sections_of_page(make_study([trial], results={trial.slug: collapsed}), "latents")
    assert "5 inactive: z0, z1, z2, z3, z4" in page
    unknown = result_of(trial, kl_per_latent=[])
    assert latent_views(summarize(make_study([trial], results={trial.slug: unknown}))) is None


def test_swept_lists_are_axes_of_latents(make_study: Any, trials_of: Any) -> None:
    """They are tuples, as everywhere else: the claims group by them."""
    every = ((1, 1, 2), (1, 2, 2))
    trials = trials_of(betas=(4,), latent_dims=(5,), seeds=(0,), **{"data.score_every": every})
    read = summarize(make_study(trials))
    factors = np.indices((30, 40)).reshape(2, -1)
    mu = np.stack([*factors, *(0 * factors), 0 * factors[0]], axis=1)
    for trial in trials:
        write_codes(read.study.trial_folder(trial.slug) / "codes.npz", mu, sizes=(30, 40))
    table = latent_table(read)
    assert table is not None
    assert set(table["data.score_every"]) == set(every)
    found = paper_claims(read)
    assert found is not None
    assert [claim.axes for claim in found.of_latents] == [
        (("data.score_every", one),) for one in every
    ]


def test_informative_latents_are_told_from_the_others(make_study: Any) -> None:
    """By a sample: a passive latent whose mean moves by a thousandth is not informative."""
    study = make_study()
    assert latent_table(summarize(study)) is None
    read = summarize(study)
    trial = read.best_trial(read.best[0])
    factors = np.indices((30, 40, 20)).reshape(3, -1)
    mu = np.stack([factors[0], 0.001 * factors[1], factors[1], *(0 * factors[:2])], axis=1)
    write_codes(study.trial_folder(trial.slug) / "codes.npz", mu, sizes=(30, 40, 20))
    table = latent_table(read)
    assert table is not None
    assert table["informative"].tolist() == [True, False, True, False, False]
    assert table["kl_nats"].tolist() == study.results.get(trial.slug).kl_per_latent
    assert set(table["seed"]) == {trial.seed}
