"""The report as a file."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sweeps.analysis.budget import budget
from sweeps.analysis.summary import summarize
from sweeps.commands.best import best
from sweeps.commands.conclude import best_line
from sweeps.commands.confirm import confirm
from sweeps.report import page as report_page
from sweeps.report.claims import paper_claims
from sweeps.report.page import SECTIONS, Section, render, write_report
from sweeps.report.templates import asset, template
from sweeps.study.manifest import STEPS
from tests.doubles.frames import best_configurations, check_claims
from tests.doubles.reported import sections_of_page

COLUMNS = (
    "latent_dim", "beta", "beta_norm", "score", "mean", "low", "high", "n", "protocol",
    "n_failed", "n_pruned", "active_latents",
)  # fmt: skip
SHOWN = {
    "header": "<dt>objective</dt>",
    "answer": "How sure is that?",
    "curves": '<select data-choice="score"',
    "verdicts": "With β chosen on the other seeds",
    "heat-maps": "An empty field has no complete trial",
    "tradeoffs": "the Pareto front",
    "latents": "the active latents are those of highest KL",
    "pictures": 'data-kind="reconstructions"',
    "claims": "Higgins et al. (2017), §4.2",
    "trials": '<table id="trial-table">',
    "viewer": 'id="configurations"',
}
"""What each section of a finished study has that no other has."""

HOSTILE = "<script>alert('β')</script>\"&{{ 7*7 }}"


class Elements(HTMLParser):
    """Collects elements and texts of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Note a text."""
        self.texts.append(data)


def page_of(study: Any, **options: Any) -> str:
    """Return the page of a study."""
    return write_report(summarize(study), **options).read_text(encoding="utf-8")


def fresh_seeds_of(study: Any) -> str:
    """Return what a study's page says of fresh seeds."""
    page = sections_of_page(study, "answer")
    text = " ".join(" ".join(Elements(page).texts).split())
    return text[text.index("On fresh seeds") :] if "On fresh seeds" in text else ""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, write_study: Any, trials_of: Any) -> Any:
    """A finished study with pictures."""
    trials = trials_of(betas=(0.25, 4, 64), seeds=(0, 1))
    return write_study(tmp_path_factory.mktemp("runs") / "quick", trials)


@pytest.fixture(scope="module")
def drawn(finished: Any) -> list[Section]:
    """The sections of its page, drawn once: each shows what it has drawn."""
    read = summarize(finished)
    views = [(section, section.show(read)) for section in SECTIONS]
    return [section._replace(show=lambda _, view=view: view) for section, view in views]


@pytest.fixture(scope="module")
def page(finished: Any) -> str:
    """The page of the finished study."""
    return page_of(finished)


def test_page_needs_no_network(page: str) -> None:
    """Whatever is loaded is in the page itself, or in the study's folder beside it."""
    loaded = [
        value
        for _, attributes in Elements(page).elements
        for name in ("src", "href", "data-src", "xlink:href")
        if (value := attributes.get(name))
    ]
    assert loaded
    assert all(re.match(r"data:|#|\.\./trials/", value) for value in loaded)
    assert not re.search(r"@import|url\((?!#)", page)


def test_main_curve_is_readable_without_script(page: str) -> None:
    """The objective's chart is not hidden, and all other charts are."""
    charts = [a for _, a in Elements(page).elements if "charts" in (a.get("class") or "").split()]
    shown = [(a["data-score"], a["data-x"]) for a in charts if "hidden" not in a]
    assert shown == [("mig", "beta"), ("mig", ""), ("", ""), ("mig", "")]


def test_answer_stands_on_the_page(page: str) -> None:
    """Best β, its score, the command and the weights can be read."""
    text = " ".join(Elements(page).texts)
    assert "The best configuration" in text
    assert re.search(r"bvae experiment=quick beta=4 latent_dim=\d+ seed=\d study=quick-again", text)
    assert "checkpoints/last.ckpt" in text
    assert "Unfinished" not in text


def test_card_says_how_sure_it_is(page: str) -> None:
    """Interval, a seed left out, the range of the best β and the verdict stand with the best β."""
    text = " ".join(" ".join(Elements(page).texts).split())
    card = text[text.index("How sure is that?") : text.index("Its best model")]
    for expected in (
        "The mean of 2 seeds",
        "95 % confidence)",
        "The curve",
        "How many latents",
        "0.3",
    ):
        assert expected in card


@pytest.mark.parametrize(
    ("fresh", "answer"),
    [((0.2, 0.5, 0.1), "confirmed"), ((0.6, 0.3, 0.1), "refuted"), (None, "")],
)
def test_fresh_seeds_stand_with_the_best(
    make_study: Any, trials_of: Any, result_of: Any, fresh: Any, answer: str
) -> None:
    """What `sweeps confirm` found: both means, the gaps to both neighbours, and the answer."""
    study = make_study(trials_of(latent_dims=(5,)))
    best = best_configurations(study.frame(), score="mig").overall
    assert best is not None
    if fresh is not None:
        trials = trials_of(betas=(1, 4, 16), latent_dims=(5,), seeds=(3, 4, 5))
        noise = (0.004, -0.003, 0.002)
        results = {
            trial.slug: result_of(trial, scores={"mig": fresh[i] + noise[(seed + i) % 3]})
            for trial in trials
            for i, seed in [((1, 4, 16).index(trial.values["beta"]), trial.values["seed"])]
        }
        make_study(trials, folder="quick-confirm", results=results)
    block = fresh_seeds_of(study)
    assert bool(block) == (fresh is not None)
    if fresh is not None:
        assert f"β = 4 scores {fresh[1] + 0.001:.3f} on 3 seeds that had no say" in block
        assert f"{best.mean:.3f} on those that chose it" in block
        assert f"above its neighbours: {answer}" in block
        assert f"{fresh[1] - fresh[0]:+.3f} over β = 1 (95 % interval" in block
        assert f"{fresh[1] - fresh[2]:+.3f} over β = 16 (95 % interval" in block


def test_neighbour_without_fresh_seeds_is_not_trained_yet(
    make_study: Any, trials_of: Any, result_of: Any
) -> None:
    """A confirmation that has begun says what is missing, and no number that is none."""
    study = make_study(trials_of(latent_dims=(5,)))
    trials = trials_of(betas=(1, 4, 16), latent_dims=(5,), seeds=(3, 4, 5))
    make_study(
        trials, folder="quick-confirm",
        results={trial.slug: None for trial in trials if trial.values["beta"] == 1},
    )  # fmt: skip
    block = fresh_seeds_of(study)
    assert "β = 1 is not trained yet; +0." in block
    assert "over β = 16 (95 % interval" in block
    assert "nan" not in block


def test_shares_can_be_read_on_every_blue(contrast: Any) -> None:
    """The contrast of a share with its cell is at least 4.5, as WCAG asks for."""
    css = asset("style.css")
    blue = re.search(r"\.map td \{[^}]*color: #000; background: rgb\((\d+) (\d+) (\d+) /", css)
    assert blue is not None
    assert ".map td.dark { color: #fff; }" in css
    share_cell = template("macros.html").module.share_cell  # type: ignore[attr-defined]
    for share in np.linspace(0, 1, 101):
        text = (1, 1, 1) if 'class="dark"' in share_cell(share) else (0, 0, 0)
        configuration = [1 - share + share * int(part) / 255 for part in blue.groups()]
        assert contrast(text, configuration) >= 4.5


def test_pictures_of_the_best_are_embedded(page: str) -> None:
    """Reconstructions, traversal and animation for each latent size."""
    kinds = [a["data-kind"] for tag, a in Elements(page).elements if tag == "img"]
    assert kinds == 2 * ["reconstructions", "animation", "traversal"]


def test_curve_is_written_beside_the_page(finished: Any, page: str) -> None:
    """The contract's columns, a row for each configuration and score."""
    assert page
    table = pd.read_csv(finished.folder.report / "curve.csv")
    assert tuple(table.columns) == COLUMNS
    assert len(table) == 6 * 2


@pytest.mark.parametrize("failing", [section.name for section in SECTIONS])
def test_section_that_fails_is_a_note(
    finished: Any,
    page: str,
    drawn: list[Section],
    monkeypatch: pytest.MonkeyPatch,
    caplog: Any,
    failing: str,
) -> None:
    """It says what failed and why, the log has the traceback, and all other sections stand."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError("a <hole> in the study")

    changed = [
        section._replace(show=fail) if section.name == failing else section for section in drawn
    ]
    monkeypatch.setattr(report_page, "SECTIONS", changed)
    text = render(summarize(finished))

    title = next(section.title for section in SECTIONS if section.name == failing)
    note = f"{title}: could not be made (ZeroDivisionError: a &lt;hole&gt; in the study)"
    assert 1 == text.count(note)
    assert [failing in record.message for record in caplog.records] == [True]
    assert "Traceback" in caplog.text
    for name in SHOWN.keys() - {failing}:
        assert SHOWN[name] in page
        assert SHOWN[name] in text
    assert SHOWN[failing] not in text if failing in SHOWN else True


def test_template_that_fails_is_a_note_too(
    finished: Any, drawn: list[Section], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value that a template cannot write costs its section alone."""
    changed = [
        section._replace(show=lambda *_: object()) if section.name == "latents" else section
        for section in drawn
    ]
    monkeypatch.setattr(report_page, "SECTIONS", changed)
    text = render(summarize(finished))

    assert "What the latents hold: could not be made (" in text
    assert SHOWN["trials"] in text


def test_same_study_gives_the_same_page(finished: Any, page: str) -> None:
    """No date, no random id."""
    assert page_of(finished) == page


def test_user_texts_are_escaped(make_study: Any, trials_of: Any, result_of: Any) -> None:
    """Names, values, commands and errors come out as they were typed, never as markup."""
    trials = trials_of(betas=(1, 4), latent_dims=(5,), seeds=(0,), model=(HOSTILE,))
    failed = result_of(trials[1], state="failed", scores={}, attempt=3, error=HOSTILE)
    scored = result_of(trials[0], scores={"mig": 0.2, HOSTILE: 0.1})
    results = {trials[0].slug: scored, trials[1].slug: failed}
    study = make_study(
        trials, results=results, name=HOSTILE, arguments=["-m", f"note={HOSTILE}"],
        data=HOSTILE, versions={HOSTILE: HOSTILE},
    )  # fmt: skip
    text = page_of(study)
    parsed = Elements(text)
    assert HOSTILE in parsed.texts
    assert "<script>alert" not in text
    assert "49" not in [piece.strip() for piece in parsed.texts]
    assert sum(tag == "script" for tag, _ in parsed.elements) == 5


def test_half_finished_study_says_so(make_study: Any, trials_of: Any) -> None:
    """The counts, and that the best is the best so far."""
    trials = trials_of(betas=(0.25, 4), latent_dims=(5,), seeds=(0, 1))
    study = make_study(trials, results={trial.slug: None for trial in trials[2:]})
    page = sections_of_page(study, "header", "answer")
    text = " ".join(" ".join(Elements(page).texts).split())
    assert "2 of 4 trials complete; 2 pending." in text
    assert "The best configuration so far" in text


@pytest.mark.parametrize("complete", [True, False])
def test_study_of_one_trial_has_a_page(make_study: Any, trials_of: Any, *, complete: bool) -> None:
    """One training makes no curve; none makes an empty page."""
    trials = trials_of(betas=(4,), latent_dims=(5,), seeds=(0,))
    study = make_study(trials, results={} if complete else {trials[0].slug: None})
    text = " ".join(Elements(page_of(study)).texts)
    expected = "One trial makes no curve" if complete else "there is no curve to draw"
    assert expected in text


@pytest.mark.parametrize("embed_all", [False, True])
def test_all_pictures_are_embedded_on_demand(
    make_study: Any, trials_of: Any, *, embed_all: bool
) -> None:
    """Without it the others are loaded from the study's folder."""
    trials = trials_of(betas=(0.25, 4), latent_dims=(5,), seeds=(0,))
    study = make_study(trials, pictures=True)
    text = sections_of_page(study, "viewer", embed_all=embed_all)
    found = re.search(r'id="embedded">(.*?)</script>', text)
    assert found is not None
    assert set(json.loads(found[1])) == ({p.slug for p in trials} if embed_all else set())


@pytest.mark.parametrize(("sampled", "shown"), [(0.35, True), (0.48, False)])
def test_scores_that_depend_on_how_they_are_read_are_flagged(
    make_study: Any, trials_of: Any, result_of: Any, *, sampled: float, shown: bool
) -> None:
    """A configuration whose score on samples differs by more than .05 is named."""
    trials = trials_of(betas=(1, 4), latent_dims=(5,), seeds=(0,))
    scores = {"mig": 0.5, "mig_sampled": sampled}
    study = make_study(trials, results={trials[1].slug: result_of(trials[1], scores=scores)})
    text = " ".join(Elements(sections_of_page(study, "verdicts")).texts)

    assert shown == ("beta=4 latent_dim=5  mig 0.500, on samples 0.350 (-0.150)" in text)
    assert shown == ("score of MIG differs by more than 0.05" in text)


def test_claims_about_latents_stand_there_once(make_study: Any, trials_of: Any) -> None:
    """They are the same by every score."""
    study = make_study(trials_of(betas=(1, 4), latent_dims=(5,)))
    first, second = np.indices((30, 40)).reshape(2, -1).astype(np.float32)
    mu = np.stack([first, second, *[0 * first] * 3], axis=1)
    for slug in study.results:
        np.savez(
            study.trial_folder(slug) / "codes.npz",
            mu=mu,
            logvar=np.where(mu.std(axis=0) > 0, -8, 0) * np.ones_like(mu),
            factor_names=["x", "y"],
            factor_sizes=[30, 40],
        )
    assert sections_of_page(study, "claims").count("Informative latents have a high KL") == 1


def test_claims_are_answered_in_words(page: str) -> None:
    """Each claim has an answer; scores have the names people use."""
    text = " ".join(Elements(page).texts)
    assert "Larger latent layers want larger β" in text
    assert "MIG lost by taking" in text


@pytest.mark.slow
def test_report_imports_neither_torch_nor_hydra_nor_optuna() -> None:
    """Reading a study stays quick."""
    code = (
        "import sys; import sweeps.report.page, sweeps.report.comparison; "
        "print([name for name in ('torch', 'hydra', 'optuna', 'matplotlib.pyplot') "
        "if name in sys.modules])"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    )
    assert done.stdout.strip() == "[]"


class TestWhileSeedsAreMissing:
    """Fourteen configurations with two of three seeds: all that is said goes by these two."""

    @pytest.fixture
    def running(self, make_study: Any, trials_of: Any, result_of: Any) -> Any:
        """Seven β of two latent sizes; the third seed of each waits."""
        trials = trials_of(betas=(0.25, 1, 2, 4, 8, 16, 64), seeds=(0, 1, 2))
        results = {}
        for trial in trials:
            done = result_of(trial)
            done["scores"]["mig_sampled"] = done["scores"]["mig"] - 0.1
            results[trial.slug] = None if trial.values["seed"] == 2 else done
        return make_study(trials, results=results, base={STEPS: 1000})

    def test_all_name_the_same_best(self, running: Any, capsys: Any) -> None:
        """`sweeps best`, budget, claims, flags and `confirm` speak of one configuration."""
        read, answer = summarize(running), best(running, score="mig")
        confirm(running, dry_run=True)
        asked = capsys.readouterr().out
        (larger, *_) = check_claims(read.population.trials, score="mig", n_factors=5)

        assert answer.headline is not None
        configuration = answer.headline.scored
        beta, size = configuration.beta, configuration.latent_dim
        assert (beta, size) == (read.overall.beta, read.overall.latent_dim)
        assert f"{beta:g} at M = {size}" in larger.text
        assert f"beta={beta:g} latent_dim={size} " in best_line(running)
        for command in (asked, budget(read).command):
            betas = re.search(r" beta=(\S+) ", command)
            assert betas is not None
            assert f"{beta:g}" == betas[1].split(",")[1]
            assert f" latent_dim={size} " in command
        assert any(f"beta={beta:g} latent_dim={size} " in str(flag) for flag in answer.flags)

    def test_claims_are_tested_on_the_page(self, running: Any) -> None:
        """Each latent size has its claims, of which none says that nothing is complete."""
        found = paper_claims(summarize(running))

        assert found is not None
        assert 5 == len(found.by_score["mig"])
        answers = {one.claim: one.answer for one in found.by_score["mig"]}
        assert "not testable" not in answers.values()
        assert "has 0" not in sections_of_page(running, "claims")
