"""Studies side by side."""

import re
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from sweeps.analysis.comparisons import study_names
from sweeps.analysis.summary import summarize
from sweeps.report import charts, comparison
from sweeps.report.comparison import SECTIONS, overlaid, render, write_comparison


def page_of(*studies: Any, names: Any = None) -> str:
    """The page of these studies, by their folders' names, as it would be written beside them."""
    folders = [study.folder.root for study in studies]
    reads = zip(names or study_names(folders), map(summarize, studies), strict=True)
    return render(dict(reads), page=folders[0].parent / "comparison.html")


def section(text: str, name: str) -> str:
    """One section of a page."""
    return text[text.index(f'<section id="{name}">') :].partition("</section>")[0]


def test_page_has_names_differences_and_charts(pair: Any, tmp_path: Path) -> None:
    """Names of both, a chart for each latent size, bold where it is clear; no row twice."""
    path = tmp_path / "x" / "page.html"
    write_comparison({one.folder.name: summarize(one) for one in pair}, path)
    text = path.read_text(encoding="utf-8")
    assert "<h1>a and b</h1>" in text
    assert text.count('class="clear"') == 4
    assert text.count('<th scope="row">optimizer.lr</th><td>0.001</td><td>0.0003</td>') == 1
    assert text.count('<th scope="row">threads</th>') == 1
    assert "Best β stays 4 with optimizer.lr=0.001 instead of 0.0003." in text


def test_three_studies_have_a_row_and_a_line_each(make_study: Any, trials_of: Any) -> None:
    """With their answers; differences from the first are folded; a chart shows all of them."""
    sizes = {"a": (5, 10), "b": (10,), "c": (10,)}
    studies = [
        make_study(trials_of(latent_dims=sizes[name], seeds=(0, 1, 2)), folder=name)
        for name in sizes
    ]
    studies[1].folder.page.parent.mkdir()
    studies[1].folder.page.write_text("")
    text = page_of(*studies)
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>\s*<td>(.*?)</td>', section(text, "studies"))
    assert [name for name, _ in rows] == ["a", '<a href="b/report/index.html">b</a>', "c"]
    assert all(re.fullmatch(r"[\d.]+ \(.*\)", best) for _, best in rows)
    assert re.findall("<summary>(.*?)</summary>", section(text, "differences")) == [
        "b − a",
        "c − a",
    ]
    panels = overlaid({one.folder.name: summarize(one) for one in studies}, score="mig")
    assert {panel: [line.label for line in lines] for panel, lines in panels.items()} == {
        "10 latents": ["a", "b", "c"]
    }


def test_panels_share_their_axes(make_study: Any, trials_of: Any) -> None:
    """And a study without the latent size of a panel keeps its place there, with an empty line."""
    grids = {"a": ((5, 10), (1, 4)), "b": ((5,), (4, 16)), "c": ((10,), (0.25,))}
    reads = {
        name: summarize(make_study(trials_of(betas, sizes, seeds=(0,)), folder=name))
        for name, (sizes, betas) in grids.items()
    }
    panels = overlaid(reads, score="mig")
    drawn = {panel: [len(line.marks) for line in lines] for panel, lines in panels.items()}
    assert drawn == {"5 latents": [2, 2, 0], "10 latents": [2, 0, 1]}
    with mock.patch.object(charts, "curve", side_effect=ZeroDivisionError) as chart:
        render(reads, page=Path("x"))
    assert chart.call_args.kwargs["ticks"] == [0.25, 1, 4, 16]
    assert len(chart.call_args.kwargs["beside"]) == 6


def test_raw_beta_is_not_compared_across_image_sizes(make_study: Any, trials_of: Any) -> None:
    """With other images one β means another; only β_norm is shown, and nothing subtracted."""
    trials = trials_of(betas=(4,), latent_dims=(5,), seeds=(0,))
    studies = [
        make_study(trials, folder=name, image_size=size)
        for name, size in (("a", 1024), ("b", 4096))
    ]
    text = page_of(*studies)
    assert "only β_norm is compared" in text
    assert "0.0195 in a and 0.00488 in b" in text
    assert 'value="beta"' not in text
    assert "Not subtracted from each other: their images differ in size" in text


@pytest.mark.parametrize("protocol", ["locatello2019", "fast"])
def test_scores_of_other_protocols_are_not_subtracted(
    make_study: Any, trials_of: Any, protocol: str
) -> None:
    """It is said why, above the curves too, and nothing is bold."""
    trials = trials_of(betas=(1, 4), latent_dims=(5,), seeds=(0, 1, 2))
    first, own = (make_study(trials, folder=name) for name in ("a", "b"))
    other = make_study(trials, folder="c", protocol=protocol)
    text = page_of(first, own, other)
    differs = protocol == "fast"
    assert ("different protocols, locatello2019 and fast" in text) == differs
    assert ("compare where the lines peak" in text) == differs
    assert section(text, "differences").count("<table>") == 2 * (1 if differs else 2)


def test_without_a_shared_latent_size_the_best_lines_are_overlaid(
    make_study: Any, trials_of: Any
) -> None:
    """Their names say their latents; no difference is taken."""
    studies = [
        make_study(trials_of(betas=(1, 4), latent_dims=(size,), seeds=(0,)), folder=f"of{size}")
        for size in (5, 10)
    ]
    text = page_of(*studies)
    assert "of5, 5 latents" in text
    assert "of10, 10 latents" in text
    assert "the line is that of the best latent size of each" in text
    assert "They have no score and latent size in common" in text


def test_nothing_in_common_is_said(make_study: Any, trials_of: Any, result_of: Any) -> None:
    """Studies that share no score have no curves to overlay."""
    trials = trials_of(betas=(1, 4), latent_dims=(5,), seeds=(0,))
    studies = [
        make_study(
            trials, folder=name, objective=name,
            results={trial.slug: result_of(trial, scores={name: 0.1}) for trial in trials},
        )
        for name in ("mig", "sap")
    ]  # fmt: skip
    assert "nothing to overlay" in page_of(*studies)


def test_studies_without_a_result_have_a_row(
    make_study: Any, trials_of: Any, result_of: Any
) -> None:
    """While it runs, or if all trials have failed; the others are compared."""
    trials = trials_of(betas=(1, 4), latent_dims=(5,), seeds=(0, 1))
    failed = {t.slug: result_of(t, state="failed", attempt=3, scores={}) for t in trials}
    studies = [
        make_study(trials, folder="a"),
        make_study(trials, folder="failed", results=failed),
        make_study(trials, folder="begun", results=dict.fromkeys(t.slug for t in trials)),
        make_study(trials, folder="b"),
    ]
    text = page_of(*studies)
    assert "could not be made" not in text
    assert re.findall(r"no best configuration( yet)?", section(text, "studies")) == [
        "", " yet"
    ]  # fmt: skip
    assert "without a best configuration: failed, begun" in text
    assert [name for name in ("a:", "failed:", "b:") if name in section(text, "models")] == [
        "a:", "b:"
    ]  # fmt: skip


def test_best_models_stand_side_by_side(make_study: Any, trials_of: Any) -> None:
    """Reconstructions and traversal of each, with a caption; without pictures it is said."""
    trials = trials_of(betas=(1, 4), latent_dims=(5,), seeds=(0,))
    a, b = make_study(trials, folder="a", pictures=True), make_study(trials, folder="b")
    models = section(page_of(a, b), "models")
    assert models.count('src="data:image/png') == 2
    assert "a: β 4, 5 latents" in models
    assert models.count("Its pictures are not in the trial folder.") == 1
    assert "data:image/gif" not in models


def test_links_lead_to_reports_from_where_the_page_is(make_study: Any) -> None:
    """As an address; whatever the folder is called."""
    a, b = make_study(folder="a"), make_study(folder="b #1")
    b.folder.page.parent.mkdir()
    b.folder.page.write_text("")
    assert 'href="b%20%231/report/index.html"' in page_of(a, b)
    inside = render({"a": summarize(a), "b": summarize(b)}, page=b.folder.comparison("a"))
    assert 'href="index.html"' in inside


def test_objective_without_values_gives_way(
    make_study: Any, trials_of: Any, result_of: Any
) -> None:
    """Another score that both have is laid over and tabulated; the objective is no choice."""
    trials = trials_of(betas=(1, 4), latent_dims=(5,), seeds=(0,))
    results = {
        trial.slug: result_of(trial, scores={"mig": float("nan"), "sap": 0.1}) for trial in trials
    }
    studies = [make_study(trials, folder=name, results=results) for name in ("a", "b")]
    text = page_of(*studies)
    assert "in common" not in text
    assert re.findall(r'<option value="(.*?)"( selected)?', text) == [("sap", " selected")]
    assert re.findall(r'<div class="scroll" data-score="(.*?)"( hidden)?', text) == [("sap", "")]


def test_score_cannot_name_itself_into_the_page(
    make_study: Any, trials_of: Any, result_of: Any
) -> None:
    """The name of a score comes from a file; whatever it is, it stays a text."""
    name = 'x"><script>alert(1)</script>'
    trials = trials_of(betas=(1, 4), latent_dims=(5,), seeds=(0,))
    results = {trial.slug: result_of(trial, scores={"mig": 0.2, name: 0.1}) for trial in trials}
    studies = [make_study(trials, folder=folder, results=results) for folder in ("a", "b")]
    text = page_of(*studies)
    assert name not in text
    assert "<script>alert" not in text
    assert "x&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_names_are_escaped(make_study: Any, trials_of: Any) -> None:
    """Here too."""
    trials = trials_of(betas=(4,), latent_dims=(5,), seeds=(0,))
    studies = [make_study(trials, folder=name) for name in ("a", "b")]
    assert "<script>x" not in page_of(*studies, names=["<script>x", "b"])


@pytest.mark.parametrize("failing", [section.name for section in SECTIONS])
def test_section_that_fails_is_a_note(
    pair: Any, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """It says what failed and why, and all other sections stand."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError("a <hole> in the study")

    marks = {
        "compared": "Best β", "studies": "verdict on its curve", "overlays": "A line a study",
        "differences": "shared seeds", "models": "one latent a row",
    }  # fmt: skip
    changed = [one._replace(show=fail) if one.name == failing else one for one in SECTIONS]
    monkeypatch.setattr(comparison, "SECTIONS", changed)
    text = page_of(*pair)

    assert "could not be made (ZeroDivisionError: a &lt;hole&gt; in the study)" in text
    assert {name for name, mark in marks.items() if mark in text} == marks.keys() - {failing}
