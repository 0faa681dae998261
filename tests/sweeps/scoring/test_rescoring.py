"""Jobs of scoring, and the processes they are done in."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bvae.codes import Codes, score
from bvae.data.lattice import FactorLattice
from bvae.exceptions import BvaeError
from bvae.metrics.protocols import protocol_named
from sweeps.scoring.rescoring import Job, compute, computed, jobs_of
from sweeps.study.trials import Trial
from tests.doubles.studies import CONFIGURATION, make_study, trials, write_result

LATTICE = FactorLattice(("scale", "x", "y"), (4, 4, 5))


@pytest.fixture
def codes() -> Codes:
    """Codes of three noisy latents, as they are stored."""
    rng = np.random.default_rng(0)
    factors = LATTICE.factors(np.arange(len(LATTICE)))
    mu = (factors + 0.5 * rng.standard_normal(factors.shape)).astype(np.float16).astype(np.float32)
    return Codes(mu, np.full_like(mu, -3.0), np.arange(len(mu)), LATTICE)


@pytest.fixture
def job(tmp_path: Path, codes: Codes) -> Job:
    """The job to score them."""
    codes.write(tmp_path / "codes.npz")
    return Job(
        slug="one",
        codes=tmp_path / "codes.npz",
        lattice=LATTICE.name,
        protocol="fast",
        seed=3,
        own={},
    )


class TestJobs:
    def test_one_for_each_complete_trial(self, tmp_path: Path) -> None:
        """By the seed that its own scores were computed with, else by that of the trial."""
        made = make_study(tmp_path / "tested", trials(seed=(1, 2)))
        first, second, third, _ = made.trials
        write_result(made, first, scoring={"seed": 7})
        write_result(made, second)
        write_result(made, third, state="failed", attempt=3)

        found = jobs_of(made, protocol="kim2018")
        assert [(first.slug, 7), (second.slug, second.values["seed"])] == [
            (job.slug, job.seed) for job in found
        ]
        assert {made.manifest.lattice} == {job.lattice for job in found}
        assert made.folder.trial(first.slug).codes == found[0].codes

    def test_own_scores_are_the_studys(self, tmp_path: Path) -> None:
        """They are no protocol's."""
        own = {"mine": {"_target_": "numpy.size"}}
        made = make_study(tmp_path / "a", compositions={"": CONFIGURATION | {"scores": own}})
        write_result(made, made.trials[0])
        assert [own] == [job.own for job in jobs_of(made, protocol="fast")]

    def test_swept_data_have_lattices_of_their_own(self, tmp_path: Path) -> None:
        """The manifest has that of the first."""
        swept = {"beta": 1, "latent_dim": 5, "seed": 0, "data": "dsprites32"}
        made = make_study(tmp_path / "tested", [Trial.of(swept)], axes=["data"])
        write_result(made, made.trials[0])
        assert [None] == [job.lattice for job in jobs_of(made, protocol="fast")]


class TestCompute:
    def test_scores_are_those_of_the_codes(self, job: Job, codes: Codes) -> None:
        """With their circumstances."""
        found = compute(job)
        expected = score(codes, protocol="fast", seed=3)
        assert expected.values == found.scores
        assert found.mistake is None
        assert {*expected.details} == {*found.details}

    def test_each_comes_out_the_same_alone(self, job: Job) -> None:
        """Whichever others are computed with it."""
        found = compute(job).scores
        parts = [compute(replace(job, only=(name,))) for name in protocol_named("fast").scores]
        assert found == {name: value for part in parts for name, value in part.scores.items()}

    @pytest.mark.parametrize("content", [b"", b"no codes", b"PK\x03\x04cut", None])
    def test_damaged_codes(self, job: Job, content: bytes | None) -> None:
        """They are a mistake that is said, and no traceback from NumPy."""
        job.codes.unlink() if content is None else job.codes.write_bytes(content)
        assert "they cannot be read" in str(compute(job).mistake)

    def test_images_without_factors(self, job: Job, codes: Codes) -> None:
        """They have no scores that need factors."""
        replace(codes, labels=None).write(job.codes)
        assert "codes of images without factors" in str(compute(job).mistake)

    def test_another_lattice(self, job: Job) -> None:
        """Scores of other images are not comparable."""
        found = compute(replace(job, lattice="2x2"))
        assert "codes of the lattice 4x4x5, but the study's is 2x2" == found.mistake


class TestComputed:
    @pytest.mark.slow
    def test_processes_give_the_same_numbers(
        self, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As this one does, whichever is ready first, whatever lies where the command is typed."""
        (tmp_path / "types.py").write_text("raise SystemExit")
        monkeypatch.chdir(tmp_path)
        jobs = [replace(job, slug=str(seed), seed=seed) for seed in range(3)]
        alone = computed(jobs, parts_folder=None, n_processes=1)
        shared = computed(jobs, parts_folder=None, n_processes=2)
        assert {done.slug: found.scores for done, found in alone} == {
            done.slug: found.scores for done, found in shared
        }

    @pytest.mark.slow
    def test_a_killed_process_is_said(self, job: Job, tmp_path: Path) -> None:
        """Waiting for it would have no end."""
        (tmp_path / "mine.py").write_text(
            "import os\ndef die(codes, factors):\n    os.kill(os.getpid(), 9)\n"
        )
        jobs = [replace(job, own={"mine": {"_target_": "mine.die"}})] * 2
        with pytest.raises(BvaeError, match=r"was killed.*type the same command to continue"):
            list(computed(jobs, parts_folder=str(tmp_path), n_processes=2))

    def test_nothing_to_do(self) -> None:
        """Takes no process."""
        assert [] == list(computed([], parts_folder=None, n_processes=2))
