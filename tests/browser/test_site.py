"""The site of `make docs`, opened from its files: asks no network, finds words, fits the window."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from playwright.sync_api import expect

ROOT = Path(__file__).parents[2]
MOST_COLUMNS = 110  # of a line of code that must be seen in whole at 1280 pixels
# code blocks that are cut, by their longest line
CUT = """() => [...document.querySelectorAll("pre > code")]
  .filter((code) => code.scrollWidth > code.clientWidth)
  .map((code) => Math.max(...code.innerText.split("\\n").map((line) => line.length)))"""
NO_INDEX = "var __index = { config: { lang: ['en'], separator: ' ' }, items: [] }"
SCROLLS = "document.documentElement.scrollWidth > innerWidth"


@pytest.fixture(scope="module")
def built() -> Path:
    done = subprocess.run([sys.executable, "docs/build_site.py"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return ROOT / "site"


class Resources(HTMLParser):
    """What a browser would load for a page by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}
        value = dict(attrs).get(names.get(tag, ""))
        if value and dict(attrs).get("rel") not in ("canonical", "next", "prev"):
            self.found.append(value)


def test_every_page_is_built_and_loads_nothing_from_the_network(built):
    pages = sorted(built.rglob("*.html"))
    assert built / "index.html" in pages
    for page in pages:
        text = page.read_text()
        resources = Resources()
        resources.feed(text)
        assert resources.found
        for each in resources.found:
            assert not re.match(r"(https?:)?//", each), (page, each)
        assert "```" not in text, page  # a fence that was not understood
    home = (built / "index.html").read_text()
    assert 'href="how-to/mirrors.html"' in home
    reference = (built / "api" / "runs.html").read_text()
    assert 'id="convlab.runs.report.comparison.compare"' in reference
    assert "McNemar" in reference


def test_the_search_finds_a_word_and_leads_to_it(built, open_page):
    page = open_page()
    page.goto((built / "how-to" / "mirrors.html").as_uri())
    page.get_by_role("button", name="Search").click()
    page.keyboard.type("unprivileged")
    page.get_by_role("listbox", name="Search").get_by_text("In a container").first.click()
    expect(page).to_have_url(re.compile(r"^file:.*/how-to/docker\.html"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("In a container")


@pytest.mark.slow
def test_pages_fit_the_window(built, open_page):
    page = open_page()
    page.route("**/search.js", lambda route: route.fulfill(body=NO_INDEX))  # which each page would read
    for path in sorted(built.rglob("*.html")):
        if path.name == "404.html" or (path.parent.name == "api" and path.stem not in ("commands", "data")):
            continue  # for servers; of the reference, which one template makes, these two
        page.set_viewport_size({"width": 1280, "height": 900})
        page.goto(path.as_uri(), wait_until="domcontentloaded")
        assert not page.evaluate(SCROLLS), path
        assert all(columns > MOST_COLUMNS for columns in page.evaluate(CUT)), path
        page.set_viewport_size({"width": 390, "height": 900})
        assert not page.evaluate(SCROLLS), path
