"""Several commands for one study at once: a loop with `&`, an array job, a value added later."""

import pytest

from sweeps.workers.exit_codes import Exit
from tests.doubles.shells import Shell, ended

pytestmark = pytest.mark.slow

FAKE = ("tracker=none", "latent_dim=2", "hydra.sweeper.trial=tests.doubles.fakes.stepping")


def test_three_single_runs_begun_in_one_second(shell: Shell) -> None:
    """One makes the study, the others add to it; every trial is run once, each command ends 0."""
    options = (*FAKE, "study=swept", "trainer.max_steps=100")
    commands = [shell.type("bvae", "beta=4", f"seed={seed}", *options) for seed in range(3)]
    codes = [ended(command, within_s=60) for command in commands]

    assert [Exit.COMPLETE] * 3 == [code for code, _ in codes], codes
    assert 3 == shell.study.counts["complete"] == shell.study.counts["expected"]
    runs = [shell.study.folder.trial(slug).root / "runs.txt" for slug in shell.study.states]
    assert ["from 0\nran\n"] * 3 == [path.read_text() for path in runs]
    assert shell.study.folder.page.exists()


def test_a_value_is_added_while_the_study_runs(shell: Shell) -> None:
    """The second command works along; the first counts the new trials, too."""
    first = shell.sweep(
        "beta=1,4", *FAKE, "seed=0,1", "hydra.sweeper.n_workers=1", "trainer.max_steps=400"
    )
    shell.at_work(1)
    second = shell.sweep("beta=16", *FAKE, "seed=0,1", "trainer.max_steps=400")
    codes = {ended(second, within_s=60), ended(first, within_s=60)}

    assert {Exit.COMPLETE} == {code for code, _ in codes}, codes
    said = "\n".join(text for _, text in codes)
    assert "works along as one more worker" in said
    assert 2 == said.count("6 of 6 trials complete") or "left to the other command" in said
    assert 6 == shell.study.counts["complete"] == shell.study.counts["expected"]
    runs = [shell.study.folder.trial(slug).root / "runs.txt" for slug in shell.study.states]
    assert ["from 0\nran\n"] * 6 == [path.read_text() for path in runs]
