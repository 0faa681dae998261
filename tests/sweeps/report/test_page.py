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

from bvae.exceptions import ConfigError
from sweeps.analysis.budget import budget
from sweeps.analysis.summary import summarize
from sweeps.commands.best import best
from sweeps.commands.conclude import best_line
from sweeps.commands.confirm import confirm
from sweeps.report import page as report_page
from sweeps.report import vega
from sweeps.report.claims import paper_claims
from sweeps.report.page import SECTIONS, Section, render, write_report
from sweeps.report.templates import asset, template
from sweeps.study.manifest import STEPS
from tests.doubles.frames import best_configurations, check_claims
from tests.doubles.reported import sections_of_page, without_scripts

COLUMNS = (
    "latent_dim", "beta", "beta_norm", "score", "mean", "low", "high", "n", "protocol",
    "n_failed", "n_pruned", "active_latents",
)  # fmt: skip
SHOWN = {
    "state": '<p class="counts">',
    "answer": '<p class="answer">',
    "curves": '<select data-choice="score"',
    "chosen": "<select data-configuration",
    "verdicts": "By latent size, MIG",
    "landscape": "the Pareto front",
    "learning": "Thin lines: seeds",
    "latents": "the active latents are those of highest KL",
    "claims": "Higgins et al. (2017), §4.2",
    "trials": '<table id="trial-table">',
    "about": "<dt>objective</dt>",
}
"""What each section of a finished study has that no other has."""

HOSTILE = "<script>alert('β')<\\script>\"&{{ 7*7 }}"


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


def section_of(page: str, name: str) -> str:
    """Return a section of a page."""
    return page[page.index(f'<section id="{name}">') :].partition("</section>")[0]


def words_of(page: str) -> str:
    """Return what can be read of a page, or of a part of it."""
    return " ".join(" ".join(Elements(page).texts).split())


def data_of(page: str) -> Any:
    """Return what the page's script is given."""
    return json.loads(page.partition('id="data">')[2].partition("</script>")[0])


def fresh_seeds_of(study: Any) -> str:
    """Return what a study's page says of fresh seeds."""
    text = words_of(section_of(sections_of_page(study, "answer"), "answer"))
    return text[text.index("Fresh seeds") :] if "Fresh seeds" in text else ""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, write_study: Any, trials_of: Any) -> Any:
    """A finished study with pictures and learning curves."""
    trials = trials_of(betas=(0.25, 4, 64), seeds=(0, 1))
    study = write_study(tmp_path_factory.mktemp("runs") / "quick", trials)
    for trial in trials:
        rows = "".join(f"{step},{200 - step}\n" for step in (50, 75, 90))
        study.folder.trial(trial.slug).history.write_text(f"step,train/loss\n{rows}")
    return study


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
        for name in ("src", "href", "xlink:href")
        if (value := attributes.get(name))
    ]
    assert loaded
    assert all(re.match(r"data:|#|\.\./trials/", value) for value in loaded)
    without_script = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"@import|url\((?!#)", without_script)


def test_main_curve_is_readable_without_script(page: str) -> None:
    """The objective's chart stands there, for wide and narrow windows, and nothing hides it."""
    curve = section_of(page, "curves")
    pictures = re.findall(r"<svg.*?</svg>", curve, flags=re.DOTALL)
    assert len(pictures) == 2
    for picture in pictures:
        assert {"MIG", "β (log scale)", "5 latents", "10 latents", "0.25", "64"} <= set(
            Elements(picture).texts
        )
    figure = curve.partition("<figure")[2].partition(">")[0]
    assert "hidden" not in figure
    assert 'class="controls needs-script"' in curve  # what would do nothing is not there


def test_what_is_of_another_score_is_hidden(page: str) -> None:
    """Until it is chosen; so only one answer is read."""
    parts = [a for _, a in Elements(page).elements if "data-score" in a]
    assert len(parts) == 3 * 2  # answer, verdicts and claims
    assert {(a["data-score"], "hidden" in a) for a in parts} == {
        ("mig", False),
        ("beta_vae", True),
    }


def test_links_lead_to_the_sections(page: str) -> None:
    """In their order; no id is there twice, so that each leads to one place."""
    elements = Elements(page).elements
    links = [a["href"] for tag, a in elements if tag == "a" and (a["href"] or "").startswith("#")]
    ids = [a["id"] for _, a in elements if "id" in a]
    assert [f"#{one.name}" for one in SECTIONS if one.name not in ("state", "failures")] == links[
        1:
    ]
    assert {link[1:] for link in links if link} <= set(ids)
    assert len(set(ids)) == len(ids)


def test_answer_stands_on_the_page(page: str) -> None:
    """Best β, its latents and score, the commands and the weights can be read."""
    text = words_of(section_of(page, "answer"))
    assert text.startswith(
        "β = 4 with 5 latents : MIG 0.364 (0.240 to 0.488, 95 % interval, 2 seeds)"
    )
    assert re.search(r"bvae experiment=quick beta=4 latent_dim=5 seed=\d study=quick-again", text)
    assert "bvae -m experiment=quick beta=16 latent_dim=5 seed=0,1" in text
    assert "checkpoints/last.ckpt" in text
    assert "Unfinished" not in words_of(page)


def test_answer_says_how_sure_it_is(page: str) -> None:
    """Verdict, range of the best β, latents, what is next and a seed left out stand with it."""
    text = words_of(section_of(page, "answer"))
    for expected in (
        "Curve inverted U, falls by posterior collapse 0.068 at β = 0.25, 0.364 at β = 4 (rise:",
        "Best β Of those tried: 4 (β_norm 0.0195; 95 % confidence)",
        "Latents 5 latents lose at most 0.021 against 10; about 4 are active: take 5.",
        "Next The curve is known, and only a finer grid says more; try β = 16 next.",
        "of simulated intervals of so few seeds 92 to 97 % hold",
        "with β chosen on the other seeds, a seed left out scores 0.364",
    ):
        assert expected in text


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
    blue = re.search(
        r"\.map td\[style\] \{ color: #000; background: color-mix\(in srgb, #(\w{6}) ", css
    )
    assert blue is not None
    assert ".map td.dark { color: #fff; }" in css
    parts = [int(blue[1][i : i + 2], 16) / 255 for i in (0, 2, 4)]
    share_cell = template("macros.html").module.share_cell  # type: ignore[attr-defined]
    for share in np.linspace(0, 1, 101):
        text = (1, 1, 1) if 'class="dark"' in share_cell(share) else (0, 0, 0)
        mixed = [1 - share + share * part for part in parts]
        assert contrast(text, mixed) >= 4.5


def test_pictures_of_the_best_are_embedded(page: str) -> None:
    """Animation, reconstructions and traversal stand there; those of the other size are known."""
    pictures = [a for tag, a in Elements(page).elements if tag == "img"]
    assert [str(a["alt"]).partition(", ")[0] for a in pictures] == [
        "Every latent moving", "Input over output", "One latent a row",
    ]  # fmt: skip
    assert all(str(a["src"]).startswith("data:image/") for a in pictures)
    assert [slug.partition(",seed")[0] for slug in sorted(data_of(page)["pictures"])] == [
        "beta=4,latent_dim=10", "beta=4,latent_dim=5",
    ]  # fmt: skip


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
    with without_scripts():
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
    with without_scripts():
        text = render(summarize(finished))

    assert "What the latents hold: could not be made (" in text
    assert SHOWN["trials"] in text


def test_same_study_gives_the_same_page(finished: Any, page: str) -> None:
    """No date, no random id."""
    assert page_of(finished) == page


def test_user_texts_are_escaped(make_study: Any, trials_of: Any, result_of: Any) -> None:
    """Names, values, commands and errors come out as they were typed, never as markup."""

    def page_with(text: str, folder: str) -> str:
        trials = trials_of(betas=(1, 4), latent_dims=(5,), seeds=(0,), model=(text,))
        failed = result_of(trials[1], state="failed", scores={}, attempt=3, error=text)
        scored = result_of(trials[0], scores={"mig": 0.2, text: 0.1})
        results = {trials[0].slug: scored, trials[1].slug: failed}
        study = make_study(
            trials, folder=folder, results=results, name=text, arguments=["-m", f"note={text}"],
            data=text, versions={text: text},
        )  # fmt: skip
        for trial in trials:
            path = study.folder.trial(trial.slug).history
            path.write_text('step,train/loss,"scores/{}"\n1,2,3\n'.format(text.replace('"', '""')))
        with without_scripts():
            return page_of(study)

    text = page_with(HOSTILE, "hostile")
    parsed, plain = Elements(text), Elements(page_with("plain", "plain"))
    assert HOSTILE in parsed.texts
    assert "<script>alert" not in text
    assert "49" not in [piece.strip() for piece in parsed.texts]
    assert [tag for tag, _ in parsed.elements] == [tag for tag, _ in plain.elements]
    data = data_of(text)
    assert data["configurations"][0]["title"] == f"model={HOSTILE}, β 1, 5 latents"
    assert HOSTILE in data["configurations"][0]["words"]
    assert f"{HOSTILE}, validation" in data["titles"].values()


def test_half_finished_study_says_so(make_study: Any, trials_of: Any) -> None:
    """The counts, and that the best is the best so far; the page loads itself again."""
    trials = trials_of(betas=(0.25, 4), latent_dims=(5,), seeds=(0, 1))
    study = make_study(trials, results={trial.slug: None for trial in trials[2:]})
    page = sections_of_page(study, "state", "answer")
    text = words_of(page)
    assert "Unfinished. 2 of 4 trials are complete." in text
    assert "this page loads itself again every minute" in text
    assert "So far: β = " in text
    assert any("data-unfinished" in attributes for _, attributes in Elements(page).elements)


def test_finished_page_stays_as_it_is(page: str) -> None:
    """It would lose what its reader has chosen."""
    assert not any("data-unfinished" in attributes for _, attributes in Elements(page).elements)


@pytest.mark.parametrize("complete", [True, False])
def test_study_of_one_trial_has_a_page(make_study: Any, trials_of: Any, *, complete: bool) -> None:
    """One trial makes no curve; none makes an empty page."""
    trials = trials_of(betas=(4,), latent_dims=(5,), seeds=(0,))
    study = make_study(trials, results={} if complete else {trials[0].slug: None})
    with without_scripts():
        text = words_of(page_of(study))
    expected = "One trial makes no curve" if complete else "there is no curve to draw"
    assert expected in text
    assert "could not be made" not in text


@pytest.mark.parametrize("embed_all", [False, True])
def test_all_pictures_are_embedded_on_demand(
    make_study: Any, trials_of: Any, *, embed_all: bool
) -> None:
    """Without it those of other configurations are loaded from the study's folder."""
    trials = trials_of(betas=(0.25, 4), latent_dims=(5,), seeds=(0,))
    study = make_study(trials, pictures=True)
    found = data_of(sections_of_page(study, "chosen", embed_all=embed_all))["pictures"]
    assert set(found) == {trial.slug for trial in (trials if embed_all else trials[1:])}


def test_where_no_chart_can_be_drawn(study: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The numbers of the curve are written; one sentence says why there is no page."""
    monkeypatch.setattr(vega.resource, "getrlimit", lambda _: (8 * 10**9, -1))

    with pytest.raises(ConfigError, match="allows 8 GB; type `ulimit -v unlimited`"):
        write_report(summarize(study))

    assert study.folder.curve.exists()
    assert not study.folder.page.exists()


@pytest.mark.slow
def test_page_of_84_trials_has_at_most_5_mb(
    make_study: Any, trials_of: Any, result_of: Any
) -> None:
    """With all scores, their representations, learning curves and pictures of the best."""
    trials = trials_of(betas=[2.0**i for i in range(-3, 11)], latent_dims=(5, 10), seeds=(0, 1, 2))
    names = [
        stem + variant
        for stem in ("mig", "beta_vae", "factor_vae", "sap", "modularity", "dci_disentanglement")
        for variant in ("", "_sampled", "_active")
    ]
    results = {one.slug: result_of(one, scores=dict.fromkeys(names, 0.3)) for one in trials}
    study = make_study(trials, results=results, pictures=True)
    columns = ("train/loss", "train/recon", "train/kl", "kl/active_units", "scores/mig")
    rows = [",".join([str(100 * i), *["123.456789"] * len(columns)]) for i in range(1, 300)]
    for trial in trials:
        path = study.folder.trial(trial.slug).history
        path.write_text("\n".join([",".join(["step", *columns]), *rows, ""]))
    assert len(trials) == 84
    assert write_report(summarize(study)).stat().st_size <= 5e6


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
    assert shown == ("1 score of MIG differs by more than 0.05 on another" in text)


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
        "print([name for name in ('torch', 'hydra', 'optuna', 'matplotlib') "
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
