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
from tests.doubles.reported import write_trial

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
    for trial in trials:
        rows = "".join(f"{step},{200 - step},{150 - step},3,0.{step}\n" for step in (50, 75, 90))
        path = study.folder.trial(trial.slug).history
        path.write_text(f"step,train/loss,train/recon,train/kl,scores/mig\n{rows}")
    return write_report(summarize(study))


@pytest.fixture
def page(browser: Any, report: Any) -> Iterator[Any]:
    """The report on a laptop; no complaint of the browser is let pass."""
    with opened(browser, report) as tab:
        yield ready(tab)


@pytest.fixture(params=[1440, 390], ids=["laptop", "phone"])
def any_page(request: pytest.FixtureRequest, browser: Any, report: Any) -> Iterator[Any]:
    """The report on a laptop and on a phone."""
    with opened(browser, report, width=request.param) as tab:
        yield ready(tab)


class opened:  # noqa: N801 (used as a verb)
    """A page of the browser that has nothing to complain about."""

    def __init__(self, browser: Any, path: Any, *, width: int = 1440, **options: Any) -> None:
        self.tab = browser.new_page(viewport={"width": width, "height": 900}, **options)
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


def ready(tab: Any) -> Any:
    """Wait until every chart is drawn, and return the page."""
    tab.wait_for_function(
        "[...document.querySelectorAll('figure.chart:not([hidden])')]"
        ".every(figure => figure.querySelector('.vega-embed svg'))"
    )
    return tab


def marks(tab: Any, chart: str) -> list[tuple[int, float, float]]:
    """Return the number of each configuration that a chart marks, and the middle of its mark."""
    found = tab.evaluate(
        """chart => [...document.querySelectorAll(`${chart} g.marks_marks path`)].map(mark => {
            const box = mark.getBoundingClientRect();
            return [mark.__data__.datum.number, box.x + box.width / 2, box.y + box.height / 2];
        })""",
        chart,
    )
    return [tuple(one) for one in found]


def title_of(number: int) -> str:
    """Return what the panel calls a configuration of the study, in its order."""
    beta, latents = [(beta, size) for size in (5, 10) for beta in ("0.25", "4", "64")][number]
    return f"β {beta}, {latents} latents"


CURVE, HEAT_MAP, TRADEOFF = (
    "#curves figure",
    "#landscape figure:nth-of-type(1)",
    "#landscape figure:nth-of-type(3)",
)


def test_page_fits_its_window(any_page: Any) -> None:
    """Nothing makes the page scroll sideways, and the curve takes the width there is."""
    assert any_page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    width = any_page.evaluate("innerWidth")
    drawn = any_page.locator("#curves svg.marks").bounding_box()["width"]
    assert drawn > (0.55 if width > 1100 else 0.85) * width


def test_lines_have_their_names_beside_them(any_page: Any) -> None:
    """Each line's latent size stands at its end, inside the chart."""
    chart = any_page.locator("#curves svg.marks").bounding_box()
    for name in ("5 latents", "10 latents"):
        label = any_page.locator("#curves svg text", has_text=re.compile(f"^{name}$"))
        box = label.bounding_box()
        assert box["x"] + box["width"] <= chart["x"] + chart["width"]


def test_first_screen_has_answer_curve_and_command(page: Any) -> None:
    """On a laptop of 1440 × 900 nobody scrolls for the answer, and the model is beside it."""
    for seen in ("p.answer", "#answer .command", "#curves svg.marks", "#chosen .animation"):
        box = page.locator(seen).first.bounding_box()
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= 900, seen


def test_list_of_sections_stays(page: Any) -> None:
    """Each link leads to a section; the list is still there afterwards."""
    links = page.locator("nav a:not(.name)")
    assert links.count() >= 9
    links.last.click()
    page.wait_for_function("scrollY > 500")
    assert page.locator("nav").bounding_box()["y"] == 0
    for target in links.evaluate_all("all => all.map(link => link.getAttribute('href'))"):
        assert page.locator(target).count() == 1


@pytest.mark.parametrize("chart", [CURVE, HEAT_MAP, TRADEOFF])
def test_every_mark_is_chosen_at_its_centre(any_page: Any, chart: str) -> None:
    """By a real pointer, the ringed ones and the fields with numbers too."""
    any_page.locator(chart).scroll_into_view_if_needed()
    found = marks(any_page, chart)
    assert {number for number, _, _ in found} == set(range(6))
    for number, x, y in found:
        any_page.mouse.click(x, y)
        assert any_page.locator("#chosen h2").inner_text() == title_of(number)


def test_target_of_a_mark_is_24_pixels(any_page: Any) -> None:
    """Beside its centre a pointer still finds it, unless another mark is nearer."""
    any_page.locator(CURVE).scroll_into_view_if_needed()
    found = marks(any_page, CURVE)
    tried = 0
    for number, x, y in found:
        for dx, dy in ((11, 0), (-11, 0), (0, -11)):
            at = (x + dx, y + dy)
            nearest = min(found, key=lambda one: (one[1] - at[0]) ** 2 + (one[2] - at[1]) ** 2)
            if nearest[0] == number:
                any_page.mouse.click(*at)
                assert any_page.locator("#chosen h2").inner_text() == title_of(number)
                tried += 1
    assert tried >= 6


def test_a_choice_is_marked_everywhere(page: Any) -> None:
    """In every chart, in both tables, in the list of configurations."""
    page.locator(HEAT_MAP).scroll_into_view_if_needed()
    _, x, y = next(one for one in marks(page, HEAT_MAP) if one[0] == 4)
    page.mouse.click(x, y)
    page.wait_for_function(
        "all('figure[data-follows]').every(f => views.get(f).view.signal('chosen') === 4)"
    )
    rows = page.locator("tr.chosen").evaluate_all(
        "all => all.map(row => row.dataset.configuration)"
    )
    assert rows
    assert set(rows) == {"4"}
    assert page.locator("select[data-configuration]").input_value() == "4"
    ring = "all('figure[data-follows] g.mark-symbol, figure[data-follows] g.mark-rect')"
    drawn = f"{ring}.filter(g => !g.matches('.marks_marks')).flatMap(g => [...g.children])"
    assert page.evaluate(f"{drawn}.filter(m => m.__data__.datum.number === 4).length") >= 4


def test_panel_shows_the_chosen_model(any_page: Any) -> None:
    """Its moving traversal, reconstructions, KL and learning curves, each from its own files."""
    any_page.select_option("select[data-configuration]", label="β 0.25, 5 latents")
    images = any_page.locator("#chosen img")
    any_page.wait_for_function(
        "[...document.querySelectorAll('#chosen img')].every(i => i.complete && i.naturalWidth)"
    )
    kinds = images.evaluate_all("all => all.map(i => i.src.split('/').pop())")
    assert kinds == ["traversal.gif", "reconstructions.png", "traversal.png"]
    assert any_page.locator('#chosen [data-part="kl"] svg.marks').count() == 1
    any_page.locator('#chosen [data-part="learning"] svg.marks').nth(3).wait_for()


def test_inactive_latents_are_folded(page: Any) -> None:
    """Of ten latents four are active: the rows of the others come on demand."""
    page.select_option("select[data-configuration]", label="β 4, 10 latents")
    button = page.locator("#chosen .traversal button")
    button.wait_for()
    image = page.locator("#chosen .traversal img")
    low = image.bounding_box()["height"]
    assert button.inner_text() == "Show 6 inactive latents"
    button.click()
    assert button.inner_text() == "Hide 6 inactive latents"
    assert image.bounding_box()["height"] == pytest.approx(10 / 4 * low, rel=0.02)


def test_seeds_can_be_stepped_through(page: Any) -> None:
    """One trial at a time; the best of the configuration first."""
    buttons = page.locator("#chosen .seeds button")
    scores = [float(text.split(": ")[1]) for text in buttons.all_inner_texts()]
    pressed = buttons.evaluate_all("all => all.map(b => b.ariaPressed)")
    assert pressed.index("true") == scores.index(max(scores))
    buttons.last.click()
    assert "seed=1" in page.locator("#chosen img").first.get_attribute("alt")


def test_reader_chooses_score_and_axis(any_page: Any) -> None:
    """Every chart follows, the reconstruction stays; answer and seeds are those of the score."""
    by_objective = any_page.locator("#chosen .seeds button").all_inner_texts()
    any_page.select_option("select[data-choice=score]", "beta_vae")
    any_page.check("input[value=beta_norm]")
    label = "Higgins (β-VAE) score"
    any_page.wait_for_function(
        "document.querySelector('#curves svg').textContent.includes('β_norm')"
    )
    titles = any_page.locator(
        ".chart:visible[data-follows] svg .role-title-text"
    ).all_text_contents()
    assert titles == [label, label, "Reconstruction (nats)", f"{label} against reconstruction"]
    assert label in any_page.locator("p.answer:visible").inner_text()
    assert any_page.locator("p.answer:visible").count() == 1
    assert any_page.locator("#chosen [data-part=words]").inner_text().startswith(label)
    assert any_page.locator("#chosen .seeds button").all_inner_texts() != by_objective


def test_keyboard_goes_along_the_curve(page: Any) -> None:
    """Arrow keys choose the next β and the next latent size; at an end they stay."""
    page.select_option("select[data-configuration]", label="β 4, 5 latents")
    page.locator(CURVE).focus()
    seen = []
    for key in ("ArrowLeft", "ArrowLeft", "ArrowUp", "ArrowRight", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
        seen.append(page.locator("#chosen h2").inner_text())
    assert seen == [title_of(number) for number in (0, 0, 3, 4, 5, 2)]


def test_keyboard_reaches_the_charts(page: Any) -> None:
    """Tab stops at the curve, at each seed and at each row of the tables."""
    page.locator("select[data-choice=score]").focus()
    stops = []
    for _ in range(200):
        page.keyboard.press("Tab")
        stops.append(
            page.evaluate(
                "(e => e.closest('figure.chart')?.ariaLabel ?? e.closest('section, aside')?.id)"
                "(document.activeElement)"
            )
        )
    assert {"Score against β", "chosen", "By β and latent size", "verdicts", "trials"} <= {*stops}


def test_keyboard_chooses_a_trial(page: Any) -> None:
    """Each row of the table can be reached, and shows its seed."""
    page.locator("#trial-table th button").last.focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "beta=0.25,latent_dim=5,seed=0"
    page.keyboard.press("Tab")
    slug = page.evaluate("document.activeElement.textContent")
    page.keyboard.press("Enter")
    assert slug in page.locator("#chosen img").first.get_attribute("alt")


@pytest.mark.parametrize("chart", [CURVE, HEAT_MAP, TRADEOFF])
def test_hovering_says_the_numbers(page: Any, chart: str) -> None:
    """Score, interval and seeds of the configuration under the pointer, the best one too."""
    page.locator(chart).scroll_into_view_if_needed()
    for number, x, y in marks(page, chart):
        page.mouse.move(x - 1, y)
        page.mouse.move(x, y)
        tip = page.locator("#vg-tooltip-element.visible")
        tip.wait_for()
        assert tip.inner_text().startswith(f"{title_of(number)}\nMIG 0.")


def test_dark_mode_is_dark(browser: Any, report: Any, contrast: Any) -> None:
    """Text has a contrast of at least 4.5, marks and lines of at least 3, in both schemes."""
    for scheme in ("light", "dark"):
        with opened(browser, report, color_scheme=scheme) as tab:
            ready(tab)
            colours = """(selector, property) => [...document.querySelectorAll(selector)].map(e =>
                getComputedStyle(e)[property].match(/[0-9.]+/g).slice(0, 3).map(c => c / 255))"""
            (ground,) = tab.evaluate(f"({colours})('body', 'backgroundColor')")
            assert (sum(ground) < 1) == (scheme == "dark")
            for text in ("p.answer", ".note", ".tag + *", "nav a", "#trial-table td"):
                for colour in tab.evaluate(f"({colours})('{text}', 'color')"):
                    assert contrast(colour, ground) >= 4.5, text
            for chart in ("#curves svg text", "#landscape svg .role-axis text"):
                for colour in tab.evaluate(f"({colours})('{chart}', 'fill')"):
                    assert contrast(colour, ground) >= 4.5, chart
            for colour in tab.evaluate(f"({colours})('#curves g.mark-line path', 'stroke')"):
                assert contrast(colour, ground) >= 3


def test_unfinished_page_loads_itself_again(browser: Any, make_study: Any, trials_of: Any) -> None:
    """Every minute, and goes on with the trial that was looked at."""
    trials = trials_of(betas=(0.25, 4), latent_dims=(5,), seeds=(0, 1))
    study = make_study(trials, results={trials[-1].slug: None}, pictures=True)
    path = write_report(summarize(study))
    watched = opened(browser, path)
    tab = watched.tab
    ready(tab)
    tab.select_option("select[data-configuration]", label="β 0.25, 5 latents")
    tab.locator("#chosen .seeds button").last.click()
    slug = tab.locator("#chosen img").first.get_attribute("alt")
    tab.evaluate("RELOAD_MS === 60_000 || fail()")
    with tab.expect_navigation():
        tab.evaluate("location.reload()")
    assert tab.locator("#chosen img").first.get_attribute("alt") == slug
    assert "loads itself again" in tab.locator(".unfinished").first.inner_text()
    watched.tab.close()


def test_wheel_zooms_with_ctrl_only(page: Any) -> None:
    """So that the page still scrolls; a double click shows all again."""
    domain = f"views.get(document.querySelector('{CURVE}')).view.scale('x').domain()"
    whole = page.evaluate(domain)
    _, x, y = marks(page, CURVE)[1]
    page.mouse.move(x, y)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -300)
    page.wait_for_function(f"{domain}[1] < {whole[1]}")
    page.keyboard.up("Control")
    page.mouse.dblclick(x, y)
    assert page.evaluate(domain) == whole
    page.mouse.wheel(0, 100)
    page.wait_for_function("scrollY > 0")
    assert page.evaluate(domain) == whole


def test_charts_can_be_saved(page: Any) -> None:
    """As SVG and as PNG, from the chart's own menu."""
    page.locator("#curves .vega-embed summary").click()
    with page.expect_download() as waiting:
        page.locator("#curves .vega-actions a", has_text="SVG").click()
    assert waiting.value.suggested_filename == "MIG.svg"


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


def test_file_is_downloaded(page: Any) -> None:
    """The link gives a CSV file of all trials."""
    with page.expect_download() as waiting:
        page.click("#trials a[download]")
    lines = waiting.value.path().read_text().splitlines()
    assert waiting.value.suggested_filename == "trials.csv"
    assert len(lines) == 13


def test_absent_pictures_are_explained(browser: Any, report: Any, tmp_path: Any) -> None:
    """A page taken away from its study says where it looked."""
    moved = tmp_path / "report" / "index.html"
    moved.parent.mkdir()
    shutil.copy(report, moved)
    watched = opened(browser, moved)
    watched.tab.select_option("select[data-configuration]", label="β 0.25, 5 latents")
    message = watched.tab.locator("#chosen .empty").first
    message.wait_for()
    assert "--embed-all" in message.inner_text()
    watched.tab.close()


def test_curve_is_there_without_script(browser: Any, report: Any) -> None:
    """Without JavaScript the charts are pictures, and no control does nothing."""
    for width in (1440, 390):
        with opened(browser, report, width=width, java_script_enabled=False) as tab:
            drawn = tab.locator("#curves svg:visible")
            assert drawn.count() == 1
            assert drawn.locator("text", has_text="5 latents").bounding_box()["height"] > 8
            assert tab.locator("#landscape svg:visible").count() == 3
            assert tab.locator("#chosen img").count() == 3
            assert tab.locator("button:visible, select:visible, input:visible").count() == 0
            assert tab.locator("#trial-table tbody tr").count() == 12


def test_hostile_names_do_nothing(browser: Any, make_study: Any, trials_of: Any) -> None:
    """A study named like a script is a title."""
    name = "<img src=x onerror=document.title='taken'>"
    trials = trials_of(betas=(1, 4), latent_dims=(5,), seeds=(0,), model=(name,))
    study = make_study(trials, name=name, pictures=True)
    with opened(browser, write_report(summarize(study))) as tab:
        assert tab.locator("h1").inner_text() == name
        assert tab.title() == f"{name} · bvae-sweeps"


def test_comparison_follows_the_choice(browser: Any, make_study: Any, trials_of: Any) -> None:
    """Charts and table show the score that is chosen, and the curves carry the studies' names."""
    trials = trials_of(betas=(0.25, 4), latent_dims=(5,), seeds=(0, 1))
    studies = {name: summarize(make_study(trials, folder=name)) for name in ("a", "b")}
    path = studies["b"].study.folder.comparison("a")
    write_comparison(studies, path)
    for width in (1440, 390):
        with opened(browser, path, width=width) as tab:
            ready(tab).select_option("select[data-choice=score]", "beta_vae")
            tab.wait_for_function(
                "document.querySelector('#overlays svg').textContent.includes('Higgins')"
            )
            scores = tab.locator("[data-score]:visible").evaluate_all(
                "all => all.map(one => one.dataset.score)"
            )
            assert scores == ["beta_vae"]
            names = tab.locator("#overlays svg.marks g.role-mark text").all_text_contents()
            assert names == ["a", "b"]
            assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_thousand_trials_stay_usable(
    browser: Any, make_study: Any, trials_of: Any, result_of: Any
) -> None:
    """With all 27 scores the page has at most 15 MB; its table sorts and filters every row."""
    trials = trials_of(betas=[2 ** (i / 4) for i in range(-8, 42)], seeds=range(10))

    names = [stem + variant for stem in ALL_SCORES for variant in ("", "_sampled", "_active")]

    def many_scores(trial: Any) -> Any:
        result = result_of(trial)
        return result | {"scores": dict.fromkeys(names, result["scores"]["mig"])}

    study = make_study(trials, results={trial.slug: many_scores(trial) for trial in trials})
    read = summarize(study)
    best = study.trial(read.best_trial(read.overall).slug)
    write_trial(study.trial_folder(best.slug), many_scores(best))  # with pictures: it is shown
    path = write_report(read)
    assert len(trials) == 1000
    assert path.stat().st_size <= 15e6
    with opened(browser, path) as tab:
        tab.locator("#trial-table th button", has_text="SAP").click()
        values = tab.locator("#trial-table tbody tr").evaluate_all(
            "rows => rows.map(row => Number(row.cells[13].dataset.value))"
        )
        assert values == sorted(values)
        assert len(values) == 1000
        tab.fill("[data-filter]", "seed=3")
        assert tab.locator("#trial-table tbody tr:visible").count() == 100


@pytest.mark.parametrize("failing", ["curves", "trials", "chosen", "landscape"])
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
        assert "could not be made" in tab.locator(f"#{failing}").inner_text()
        for figure in tab.locator("figure[data-follows]").all()[:1]:
            figure.focus()
            tab.keyboard.press("ArrowRight")
        for row in tab.locator("#trial-table tbody tr code").all()[:1]:
            row.click(force=True)
