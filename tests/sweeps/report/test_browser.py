"""The report in a real browser: Debian's Chromium, driven by Playwright."""

import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from sweeps.analysis.summary import summarize
from sweeps.report import page as report_page
from sweeps.report.comparison import write_comparison
from sweeps.report.page import write_report

CHROMIUM = shutil.which("chromium")
ALL_SCORES = (
    "beta_vae", "factor_vae", "mig", "sap", "modularity", "explicitness",
    "dci_disentanglement", "dci_completeness", "dci_informativeness",
)  # fmt: skip
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is absent; make services"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is absent")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, write_study: Any, trials_of: Any) -> Any:
    """The report of a small study with pictures."""
    trials = trials_of(betas=(0.25, 4, 64), seeds=(0, 1))
    study = write_study(tmp_path_factory.mktemp("runs") / "quick", trials)
    return write_report(summarize(study))


@pytest.fixture
def page(browser: Any, report: Any) -> Iterator[Any]:
    """The report on a laptop; no complaint of the browser is let pass."""
    with opened(browser, report) as tab:
        yield tab


@pytest.fixture(params=[1280, 390], ids=["laptop", "phone"])
def any_page(request: pytest.FixtureRequest, browser: Any, report: Any) -> Iterator[Any]:
    """The report on a laptop and on a phone."""
    with opened(browser, report, width=request.param) as tab:
        yield tab


class opened:  # noqa: N801 (used as a verb)
    """A page of the browser that has nothing to complain about."""

    def __init__(self, browser: Any, path: Any, *, width: int = 1280, **options: Any) -> None:
        self.tab = browser.new_page(viewport={"width": width, "height": 800}, **options)
        self.complaints: list[str] = []
        self.tab.on("console", lambda message: self.complaints.append(message.text))
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.tab.on("request", lambda r: self._note(r.url))
        self.tab.goto(path.as_uri())

    def _note(self, address: str) -> None:
        if not address.startswith(("file:", "data:")):
            self.complaints.append(f"the network was asked for {address}")

    def __enter__(self) -> Any:
        return self.tab

    def __exit__(self, *error: object) -> None:
        self.tab.close()
        assert self.complaints == []


def test_page_fits_its_window(any_page: Any) -> None:
    """Nothing makes the page scroll sideways, and the curve is drawn."""
    assert any_page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert any_page.locator("main .chart:visible svg").first.bounding_box()["width"] > 300


def test_reader_chooses_score_and_axis(any_page: Any) -> None:
    """One curve at a time; heat map and trade-off follow the score."""
    any_page.select_option("select[data-choice=score]", "beta_vae")
    any_page.check("input[value=beta_norm]")
    shown = any_page.locator(".charts:visible").evaluate_all(
        "all => all.map(one => [one.dataset.score, one.dataset.x])"
    )
    assert shown == [["beta_vae", "beta_norm"], ["beta_vae", ""], ["", ""], ["beta_vae", ""]]


def test_answers_follow_the_score(any_page: Any) -> None:
    """The best β, its verdict and the claims are those of the chosen score, and only those."""
    heads = any_page.locator(".by-score:visible > h3", has_text=re.compile("^By "))
    headline = any_page.locator(".answer:visible .what")
    assert heads.all_inner_texts() == ["By MIG", "By MIG"]
    assert headline.all_inner_texts() == ["β", "latents", "MIG"]
    any_page.select_option("select[data-choice=score]", "beta_vae")
    label = "Higgins (β-VAE) score"
    assert heads.all_inner_texts() == [f"By {label}", f"By {label}"]
    assert headline.all_inner_texts() == ["β", "latents", label]


def test_click_on_a_mark_shows_its_pictures(any_page: Any) -> None:
    """The pictures of a configuration that is not embedded come from the study's folder."""
    mark = any_page.locator("main .charts:visible .mark:visible").first
    mark.click(force=True)
    assert any_page.locator("#viewer-title").inner_text() == "β 0.25, 5 latents"
    images = any_page.locator("#viewer img")
    images.last.wait_for()
    any_page.wait_for_function(
        "[...document.querySelectorAll('#viewer img')].every(i => i.complete)"
    )
    sizes = images.evaluate_all("all => all.map(image => image.naturalWidth)")
    assert len(sizes) == 3
    assert all(size > 0 for size in sizes)


def test_seeds_can_be_stepped_through(page: Any) -> None:
    """The viewer shows one seed at a time and closes again."""
    page.locator("[data-configuration] >> text=All seeds").first.click()
    page.locator("#viewer .seeds button").last.click()
    assert "seed=1" in page.locator("#viewer img").first.get_attribute("alt")
    page.keyboard.press("Escape")
    assert not page.locator("#viewer").is_visible()


def test_keyboard_opens_a_mark(page: Any) -> None:
    """Marks can be reached and opened without a mouse."""
    page.locator("main .charts:visible .mark:visible").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("#viewer").is_visible()


def test_hovering_says_the_numbers(page: Any) -> None:
    """Score, interval and seeds of the configuration under the pointer."""
    page.locator("main .charts:visible .mark:visible").first.hover(force=True)
    assert page.locator("#tip").inner_text().startswith("β 0.25, 5 latents\nMIG 0.")


def test_keyboard_focus_says_the_numbers(page: Any) -> None:
    """A mark that is tabbed to says what one under the pointer does, also to who cannot see it."""
    marks = page.locator("main .charts:visible .chart:visible .mark")
    marks.first.focus()
    page.keyboard.press("Tab")
    said = page.locator("#tip").inner_text()
    assert said.startswith("β 4, 5 latents\nMIG 0.")
    assert marks.nth(1).get_attribute("aria-label") == said.replace("\n", ", ")
    place, tip = marks.nth(1).bounding_box(), page.locator("#tip").bounding_box()
    assert abs(tip["x"] - place["x"]) < 100
    page.evaluate("document.activeElement.blur()")
    assert not page.locator("#tip").is_visible()


def test_keyboard_opens_a_trial(page: Any) -> None:
    """Each row of the table can be reached, and opens the viewer at its seed."""
    page.locator("#trial-table th button").last.focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "beta=0.25,latent_dim=5,seed=0"
    page.keyboard.press("Tab")
    slug = page.evaluate("document.activeElement.textContent")
    page.keyboard.press("Enter")
    assert page.locator("#viewer").is_visible()
    assert slug in page.locator("#viewer img").first.get_attribute("alt")


def test_table_sorts_both_ways(page: Any) -> None:
    """By number, not by text; a second click turns it round."""
    button = page.locator("#trial-table th button", has_text="MIG")
    values = "rows => rows.map(row => Number(row.cells[5].dataset.value))"
    button.click()
    up = page.locator("#trial-table tbody tr").evaluate_all(values)
    button.click()
    down = page.locator("#trial-table tbody tr").evaluate_all(values)
    assert up == sorted(up)
    assert down == sorted(up, reverse=True)


def test_table_filters(page: Any) -> None:
    """All words must occur; how many rows are left is said."""
    page.fill("[data-filter]", "beta=4, dim=10")
    assert page.locator("#trial-table tbody tr:visible").count() == 2
    assert page.locator("[data-count]").inner_text() == "2 of 12"


def test_animation_plays_on_a_click(page: Any) -> None:
    """It stands still, and is not even there, until asked for."""
    image = page.locator("img[data-kind=animation]").first
    assert not image.is_visible()
    page.locator("[data-play]").first.click()
    assert image.get_attribute("src").startswith("data:image/gif")
    assert image.is_visible()


def test_file_is_downloaded(page: Any) -> None:
    """The link gives a CSV file of all trials."""
    with page.expect_download() as waiting:
        page.click("a[download]")
    lines = waiting.value.path().read_text().splitlines()
    assert waiting.value.suggested_filename == "trials.csv"
    assert len(lines) == 13


def test_absent_pictures_are_explained(browser: Any, report: Any, tmp_path: Any) -> None:
    """A page taken away from its study says where it looked."""
    moved = tmp_path / "report" / "index.html"
    moved.parent.mkdir()
    shutil.copy(report, moved)
    watched = opened(browser, moved)
    watched.tab.locator("main .charts:visible .mark:visible").first.click(force=True)
    message = watched.tab.locator("#viewer .empty").first
    message.wait_for()
    assert "--embed-all" in message.inner_text()
    watched.tab.close()


def test_curve_is_there_without_script(browser: Any, report: Any) -> None:
    """Without JavaScript there is one curve and no control that does nothing."""
    with opened(browser, report, java_script_enabled=False) as tab:
        assert tab.locator("main .charts:visible .chart:visible").count() == 4
        assert tab.locator("button:visible, select:visible, input:visible").count() == 0
        assert tab.locator("#trial-table tbody tr").count() == 12


def test_hostile_names_do_nothing(browser: Any, make_study: Any, trials_of: Any) -> None:
    """A study named like a script is a title."""
    name = "<script>document.title = 'taken'</script>"
    trials = trials_of(betas=(1, 4), latent_dims=(5,), seeds=(0,), model=(name,))
    with opened(browser, write_report(summarize(make_study(trials, name=name)))) as tab:
        assert tab.locator("h1").inner_text() == name
        assert tab.title() == f"{name} · bvae-sweeps"


def test_comparison_follows_the_choice(browser: Any, make_study: Any, trials_of: Any) -> None:
    """Charts and table show the score that is chosen."""
    trials = trials_of(betas=(0.25, 4), latent_dims=(5,), seeds=(0, 1))
    studies = {name: summarize(make_study(trials, folder=name)) for name in ("a", "b")}
    path = studies["b"].study.folder.comparison("a")
    write_comparison(studies, path)
    with opened(browser, path) as tab:
        tab.select_option("select[data-choice=score]", "beta_vae")
        scores = tab.locator("[data-score]:visible").evaluate_all(
            "all => all.map(one => one.dataset.score)"
        )
        assert scores == ["beta_vae", "beta_vae"]


def test_thousand_trials_stay_usable(
    browser: Any, make_study: Any, trials_of: Any, result_of: Any
) -> None:
    """With all 27 scores the page has at most 10 MB; its table sorts and filters every row."""
    trials = trials_of(betas=[2 ** (i / 4) for i in range(-8, 42)], seeds=range(10))

    names = [stem + variant for stem in ALL_SCORES for variant in ("", "_sampled", "_active")]

    def many_scores(trial: Any) -> Any:
        result = result_of(trial)
        return result | {"scores": dict.fromkeys(names, result["scores"]["mig"])}

    study = make_study(trials, results={trial.slug: many_scores(trial) for trial in trials})
    path = write_report(summarize(study))
    assert len(trials) == 1000
    assert path.stat().st_size <= 10e6
    with opened(browser, path) as tab:
        tab.locator("#trial-table th button", has_text="SAP").click()
        values = tab.locator("#trial-table tbody tr").evaluate_all(
            "rows => rows.map(row => Number(row.cells[13].dataset.value))"
        )
        assert values == sorted(values)
        assert len(values) == 1000
        tab.fill("[data-filter]", "seed=3")
        assert tab.locator("#trial-table tbody tr:visible").count() == 100


@pytest.mark.parametrize("failing", ["curves", "trials", "viewer"])
def test_script_does_without_a_section(
    browser: Any, make_study: Any, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """Where a section that the script works on has failed, it has nothing to complain about."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    changed = [
        section._replace(show=fail) if section.name == failing else section
        for section in report_page.SECTIONS
    ]
    monkeypatch.setattr(report_page, "SECTIONS", changed)
    with opened(browser, write_report(summarize(make_study(pictures=True)))) as tab:
        assert "could not be made" in tab.locator(f"section#{failing}").inner_text()
        for mark in tab.locator("main .charts:visible .mark:visible").all()[:1]:
            mark.click(force=True)
        for row in tab.locator("#trial-table tbody tr code").all()[:1]:
            row.click(force=True)
