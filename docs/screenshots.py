"""Takes the pictures of the report: `python docs/screenshots.py runs/curve [runs/other …]`.

Writes into docs/images: report.png, report-dark.png and report-phone.png of the first study's page
and, of two studies or more, comparison.png. Needs the Chromium that `make services` installs.
"""

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

from sweeps import load_study
from sweeps.analysis.summary import summarize
from sweeps.report.comparison import write_comparison
from sweeps.report.page import write_report

IMAGES = Path(__file__).parent / "images"
LAPTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
TALL = {"width": 1440, "height": 1220}
DRAWN = (
    "[...document.querySelectorAll('figure.chart:not([hidden])')]"
    ".every(figure => figure.querySelector('svg.marks')) && "
    "[...document.images].every(image => image.complete)"
)


def main() -> None:
    """Write the pages anew, and take their pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("studies", type=Path, nargs="+")
    typed = parser.parse_args()
    studies = {path.name: summarize(load_study(path)) for path in typed.studies}
    page = write_report(next(iter(studies.values())))
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        take(chromium, page, "report", viewport=LAPTOP)
        take(chromium, page, "report-dark", viewport=LAPTOP, color_scheme="dark")
        take(chromium, page, "report-phone", viewport=PHONE)
        if len(studies) > 1:
            with tempfile.TemporaryDirectory() as folder:
                write_comparison(studies, Path(folder) / "comparison.html")
                take(chromium, Path(folder) / "comparison.html", "comparison", viewport=TALL)
        chromium.close()


def take(chromium: Any, page: Path, name: str, **options: Any) -> None:
    """Take a picture of a page's first screen, in 256 colours."""
    tab = chromium.new_page(**options)
    tab.goto(page.resolve().as_uri())
    tab.wait_for_function(DRAWN)
    path = IMAGES / f"{name}.png"
    tab.screenshot(path=path)
    tab.close()
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main()
