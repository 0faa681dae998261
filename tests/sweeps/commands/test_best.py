import json
import math
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from bvae.exceptions import ConfigError
from sweeps import load_study
from sweeps.analysis.summary import summarize
from sweeps.commands.best import best, in_lines, plain
from sweeps.report.answer import line_answers
from sweeps.report.words import beta_range
from sweeps.study.quoting import for_hydra
from sweeps.study.study import Study
from sweeps.study.trials import Trial, grid
from tests.doubles.studies import make_study, trials, write_result

Type = Callable[..., str]

SCORES = {0.25: 0.1, 1: 0.2, 4: 0.6, 16: 0.3}


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """A clear inverted U of three seeds, the last of which is the best at β = 4."""
    monkeypatch.chdir(tmp_path)
    listed = trials(beta=list(SCORES), seed=[0, 1, 2])
    made = make_study(tmp_path / "runs" / "made", listed, arguments=["-m", "beta=0.25,1,4,16"])
    for trial in listed:
        beta, seed = float(str(trial.values["beta"])), int(str(trial.values["seed"]))
        mig = SCORES[beta] + (0.01 * seed if beta >= 4 else -0.01 * seed)
        scores = {"mig": mig, "sap": 1 - 0.05 * beta + 0.001 * seed}
        write_result(made, trial, scores=scores, active_latents=3)
        checkpoints = made.folder.trial(trial.slug).root / "checkpoints"
        checkpoints.mkdir()
        (checkpoints / "last.ckpt").touch()
    return load_study(made.folder.root)


class TestInLines:
    def test_a_whole_answer(self, study: Study) -> None:
        """The best configuration, how sure it is, its best model, and a command to paste."""
        lines = list(in_lines(best(study, score="mig")))
        at = lines.index("  model     beta=4,latent_dim=5,seed=2 (mig 0.620); to train it again:")

        assert lines[0].startswith("best: beta=4 latent_dim=5  mig 0.610 (95 % interval 0.5")
        assert "  best β    of those tried: 4 (β_norm 0.0195; 95 % confidence)" in lines
        assert "  latents   takes two latent sizes, has one" in lines
        assert "  left out  with β chosen on the other seeds, a seed left out scores 0.610" in lines
        again = shlex.split(lines[at + 1])
        place = ["study=made-again", f"runs_dir={for_hydra(str(study.folder.root.parent))}"]
        assert ["beta=4", "latent_dim=5", "seed=2", *place] == again[1:]
        weights = Path(lines[at + 2].removeprefix("  weights   "))
        assert weights.exists()
        assert not weights.is_absolute()
        assert lines[-1].startswith("next: nothing")

    @pytest.mark.parametrize("score", ["mig", "sap"])
    def test_it_is_as_wide_as_a_terminal(self, study: Study, score: str) -> None:
        """No line but a command has more than 80 columns, and no `β = 4` is split."""
        lines = list(in_lines(best(study, score=score)))

        assert [] == [line for line in lines if len(line) > 80 and "bvae " not in line]
        assert [] == [line for line in lines if line.endswith(("=", "β", "p", "p <"))]

    def test_a_row_for_each_latent_size(self, study: Study) -> None:
        """Its best β, which β may be best, the interval, and what the curve does."""
        lines = list(in_lines(best(study, score="mig")))
        (head,) = [line for line in lines if line.startswith("latents")]

        assert ["latents", "best", "β", "may", "be", "mig"] == head.split()[:6]
        found = lines[lines.index(head) + 1]
        assert ["5", "4", "4", "0.610"] == found.split()[:4]
        assert found.endswith("  3      inverted U  gradual")

    def test_all_scores_stand_side_by_side(self, study: Study) -> None:
        """Each with its best β, its verdict, and whether it agrees with the objective."""
        lines = list(in_lines(best(study, score="mig")))
        head, mig, sap, note = lines[-6:-2]

        assert head.split()[0] == "score"
        assert mig.startswith("mig    4 ")
        assert mig.endswith("inverted U  –")
        assert sap.startswith("sap    0.25 ")
        assert sap.endswith("  no")
        assert note == "agrees: β = 4 may be best, too, at 5 latents"

    def test_another_representation(self, study: Study) -> None:
        """It has no row among the scores, but the best configuration says that it differs."""
        for trial in study.trials:
            mig = study.results[trial.slug].scores["mig"]
            scores = {"mig": mig, "mig_sampled": mig - 0.1}
            write_result(study, trial, scores=scores, active_latents=3)
        lines = list(in_lines(best(load_study(study.folder.root), score="mig", every=False)))

        assert not [line for line in lines if line.startswith("mig_sampled")]
        assert "  beta=4 latent_dim=5  mig 0.610, on samples 0.510 (-0.100)" in lines
        assert "  and 3 of other configurations, in the report" in lines

    def test_it_is_what_the_report_says(self, study: Study) -> None:
        """The words are those of the page."""
        (of_report,) = line_answers(summarize(study), score="mig")
        said = re.sub(r"\s+", " ", " ".join(in_lines(best(study, score="mig"))))

        assert of_report.judged.best_range is not None
        assert beta_range(of_report.judged.best_range) in said
        assert of_report.judged.text in said

    def test_what_to_try_next(self, study: Study) -> None:
        """By a score that is best at the border, there is a β beyond it to try."""
        said = "\n".join(in_lines(best(study, score="sap")))

        assert "best: beta=0.25 " in said
        assert re.search(
            r"try β = 0.\d+ next\n  bvae -m beta=0.\d+ latent_dim=5 seed=0,1,2 study=", said
        )

    def test_more_seeds_are_named_once(self, study: Study) -> None:
        """Where noise hides the curve: at most as many as there are, then one looks again."""
        deviations = {0: -0.06, 1: 0.0, 2: 0.06}
        for beta, mean in {0.25: 0.1, 1: 0.12, 4: 0.22, 16: 0.1}.items():
            for seed, deviation in deviations.items():
                trial = Trial.of({"beta": beta, "latent_dim": 5, "seed": seed})
                sign = -1 if beta in (1, 16) else 1
                write_result(
                    study, trial, scores={"mig": mean + sign * deviation}, active_latents=3
                )
        head = best(load_study(study.folder.root), score="mig").headline

        assert head is not None
        assert ("not resolved", None) == (head.judged.verdict, head.judged.next_beta)
        assert head.judged.more_seeds
        assert head.next_step is not None
        more = ",".join(map(str, range(3 + min(head.judged.more_seeds, 3))))
        again = f"bvae -m beta=0.25,1,4,16 seed={more} study=made "
        assert head.next_step.command.startswith(again)

    def test_nothing_is_advised_while_trials_are_to_come(self, study: Study) -> None:
        """What is queued already may be what the advice would name."""
        study.folder.trial("beta=16,latent_dim=5,seed=1").result.unlink()
        found = best(load_study(study.folder.root), score="sap")

        assert found.headline is not None
        assert found.headline.next_step is None
        assert plain(found)["next"] is None

    def test_the_model_of_another_score(self, study: Study) -> None:
        """It is the best by the score that was asked for."""
        lucky = Trial.of({"beta": 4, "latent_dim": 5, "seed": 0})
        write_result(study, lucky, scores={"mig": 0.1, "sap": 2.0}, active_latents=3)
        head = best(load_study(study.folder.root), score="sap").headline

        assert head is not None
        found = head.model
        assert (lucky.slug, 2.0) == (found.slug, found.score)

    def test_fresh_seeds(self, study: Study) -> None:
        """What they say of the best configuration stands below it, by the objective only."""
        fresh = trials(beta=[1, 4, 16], seed=[3, 4, 5])
        made = make_study(study.folder.root.with_name("made-confirm"), fresh)
        for trial in fresh:
            at, seed = SCORES[float(str(trial.values["beta"]))], int(str(trial.values["seed"]))
            write_result(made, trial, scores={"mig": at + 0.01 * seed}, active_latents=3)
        found = best(study, score="mig")
        (said,) = [line for line in in_lines(found) if line.startswith("  confirmed ")]

        assert said.startswith("  confirmed beta=4 latent_dim=5 on 3 fresh seeds: mig 0.640 (")
        as_json = json.loads(json.dumps(plain(found), allow_nan=False))["confirmation"]
        assert ("confirmed", 4) == (as_json["answer"], as_json["fresh"]["beta"])
        assert best(study, score="sap").confirmation is None

    def test_collapsed_configurations_come_last(self, tmp_path: Path) -> None:
        """A latent size that has collapsed everywhere is not the best of all by a high score."""
        listed, _ = grid({"beta": [1, 4], "latent_dim": [1, 5], "seed": [0, 1]})
        made = make_study(tmp_path / "made", listed, arguments=["-m", "beta=1,4"])
        for trial in listed:
            active, mig = (1, 1.0) if trial.values["latent_dim"] == 1 else (3, 0.2)
            write_result(made, trial, scores={"mig": mig}, active_latents=active)
        found = best(load_study(made.folder.root), score="mig")

        assert found.headline is not None
        assert 5 == found.headline.configuration.latent_dim

    def test_so_far(self, study: Study) -> None:
        """Until the end it goes by the seeds there are, and says how many are missing."""
        for seed in (1, 2):
            study.folder.trial(f"beta=4,latent_dim=5,seed={seed}").result.unlink()
        lines = list(in_lines(best(load_study(study.folder.root), score="mig")))

        (which,) = [line for line in lines if line.startswith("best so far: ")]
        assert which.startswith("best so far: beta=4 latent_dim=5  mig 0.600 (95 % interval ")
        assert "next: 2 trials left to run" == lines[-1]

    def test_nothing_yet(self, tmp_path: Path) -> None:
        """It is said; there is no model."""
        answer = best(make_study(tmp_path / "empty"), score="mig")

        assert not [line for line in in_lines(answer) if "beta=" in line]
        assert (None, None, []) == tuple(
            plain(answer)[key] for key in ("best", "model", "by_latent_dim")
        )


class TestPlain:
    def test_numbers_of_configuration_and_judgement(self, study: Study) -> None:
        """What the words say, as numbers; JSON can hold all of it."""
        found = json.loads(json.dumps(plain(best(study, score="mig")), allow_nan=False))

        configuration = found["best"]
        assert [configuration] == found["by_latent_dim"]
        assert ("mig", 0) == (found["score"], found["left"])
        assert (4, 5, 3, "inverted U") == tuple(
            configuration[k] for k in ("beta", "latent_dim", "n", "verdict")
        )
        assert 0.61 == pytest.approx(configuration["mean"])
        assert configuration["low"] < configuration["mean"] < configuration["high"]
        assert (4, 4) == (configuration["best_range"]["low"], configuration["best_range"]["high"])
        assert "beta=4,latent_dim=5,seed=2" == found["model"]["slug"]
        assert 0.62 == pytest.approx(found["model"]["score"])

    def test_unknown_is_null(self, study: Study) -> None:
        """One seed has no interval."""
        for trial in study.trials:
            if trial.values["seed"] != 0:
                study.folder.trial(trial.slug).result.unlink()
        answer = best(load_study(study.folder.root), score="mig")

        assert answer.headline is not None
        assert math.isnan(answer.headline.scored.low)
        assert plain(answer)["best"]["low"] is None


class TestRun:
    def test_which_beta(self, unfinished: Study, typed: Type) -> None:
        """β = 16 has a better seed, but another that failed."""
        said = typed("best", unfinished.folder.root)

        assert said.startswith("best so far: beta=1 latent_dim=5  mig ")
        assert said.endswith("next: 2 trials left to run\n")

    def test_by_another_score_as_numbers(self, unfinished: Study, typed: Type) -> None:
        """Valid JSON: what is unknown is null."""
        found = json.loads(
            typed("best", unfinished.folder.root, "--score", "beta_vae", "--json"),
            parse_constant=pytest.fail,
        )

        assert "beta_vae" == found["score"]
        assert (1, 5) == (found["best"]["beta"], found["best"]["latent_dim"])
        assert [found["best"]] == found["by_latent_dim"]

    def test_an_unknown_score(self, unfinished: Study, typed: Type) -> None:
        """The message names those there are."""
        with pytest.raises(ConfigError, match=r"--score sap: .*mig, beta_vae"):
            typed("best", unfinished.folder.root, "--score", "sap")

    def test_before_anything_has_ended(self, tmp_path: Path, typed: Type) -> None:
        """It is said, with code 0; a score that is typed must be there."""
        folder = make_study(tmp_path / "new").folder.root

        assert " mig " in typed("best", folder)
        assert json.loads(typed("best", folder, "--json"))["best"] is None
        with pytest.raises(ConfigError, match="--score sap"):
            typed("best", folder, "--score", "sap")
