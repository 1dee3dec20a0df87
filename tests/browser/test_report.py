"""The comparison report as a reader has it: sorted by mouse and keyboard, on a telephone, on paper."""

import re

import pytest
from playwright.sync_api import expect

from convlab.cli.commands import compare


@pytest.fixture(scope="module")
def report(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONVLAB_PROJECT", str(trained))
        patch.chdir(trained)
        compare.run(["--out", str(folder)])
    return f"file://{folder}/comparison.html"


def names(page):
    return [cell.inner_text().strip() for cell in page.locator(".ranking").first.locator("tbody th").all()]


def test_tables_are_sorted_by_mouse_and_by_keyboard(report, open_page):
    page = open_page()
    page.goto(report)
    ranked = names(page)
    assert set(ranked) == {"lenet5", "middling", "weak"}
    heading = page.locator(".ranking").first.get_by_role("columnheader", name="accuracy", exact=True)
    heading.get_by_role("button").click()
    expect(heading).to_have_attribute("aria-sort", "ascending")
    assert names(page) == ranked[::-1]
    page.keyboard.press("Enter")  # the button has the focus
    expect(heading).to_have_attribute("aria-sort", "descending")
    assert names(page) == ranked
    name = page.locator(".ranking").first.get_by_role("columnheader", name="run", exact=True)
    name.get_by_role("button").press("Space")
    assert names(page) == ["lenet5", "middling", "weak"]
    expect(heading).not_to_have_attribute("aria-sort", re.compile(".*"))


@pytest.mark.parametrize("face", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_page_and_all_can_be_read(report, open_page, width, face):
    page = open_page(width, face)
    page.goto(report)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # WCAG 2.1's contrast of the text and its background, 4.5 at least
    assert page.evaluate(CONTRASTS) >= 4.5
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 21, 26)"}[face]


CONTRASTS = """() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map((part) => part / 255)
      .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = getComputedStyle(each).backgroundColor;
      if (colour.startsWith("rgb(")) return colour;
    }
  };
  const ratios = [...document.querySelectorAll("p, dt, dd, th, td, h1, h2, h3, h4, small, summary, pre")]
    .filter((element) => element.textContent.trim() && element.checkVisibility())
    .map((element) => [light(getComputedStyle(element).color), light(behind(element))].sort((a, b) => b - a))
    .map(([brighter, darker]) => (brighter + 0.05) / (darker + 0.05));
  return Math.min(...ratios);
}"""


def test_it_prints_whole(report, open_page):
    page = open_page(794)
    page.goto(report)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.locator("details:not([open])").count() == 0
    for box in page.locator(".scroll").all():
        assert box.evaluate("(each) => getComputedStyle(each).overflowX") == "visible"
    assert page.pdf().startswith(b"%PDF")


def test_the_picture_of_mistakes_has_a_description(report, open_page):
    page = open_page()
    page.goto(report)
    picture = page.get_by_role("img", name=re.compile("lenet5 got wrong.*three likeliest classes"))
    expect(picture).to_be_visible()
    assert page.locator("img:not([alt]), [role=img]:not([aria-label])").count() == 0
