"""The comparison report as a reader has it: sorted, filtered, enlarged, on a telephone, on paper.

What it shows is held against predictions.npz by numpy.
"""

import re
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from playwright.sync_api import expect
from scipy.stats import binomtest

from convlab.cli.commands import compare
from convlab.runs.run import Run


@pytest.fixture(scope="module")
def report(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONVLAB_PROJECT", str(trained))
        patch.chdir(trained)
        compare.run(["--out", str(folder)])
    return f"file://{folder}/comparison.html"


@pytest.fixture
def answers(trained):
    """A run's labels, predicted classes, confidences and paths of its test images."""

    def read(name):
        run = Run(trained / "runs" / name)
        labels, probabilities = run.predictions
        return labels, probabilities.argmax(1), probabilities.max(1), run.test_images.paths

    return read


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


def test_from_a_cell_of_the_confusion_matrix_to_a_file_and_back(report, open_page, answers):
    labels, predicted, _, paths = answers("weak")
    counts = np.zeros((10, 10), int)
    np.add.at(counts, (labels, predicted), 1)
    np.fill_diagonal(counts, 0)
    truth, guess = divmod(int(counts.argmax()), 10)
    mistaken = np.flatnonzero((labels == truth) & (predicted == guess))
    page = open_page()
    page.goto(report)
    part = page.get_by_role("article", name="weak")
    part.get_by_title(f"{truth} taken for {guess}:").click()
    browser = page.locator("#images")
    expect(browser.get_by_role("status")).to_have_text(f"{len(mistaken)} of 500 images")
    expect(browser.locator(".card")).to_have_count(len(mistaken))
    browser.locator(".card").nth(1).click()
    expect(browser.locator(".path code")).to_have_text(paths[mistaken[1]])
    expect(browser.locator(".truth")).to_have_text(f"True class: {truth}")
    page.keyboard.press("ArrowLeft")
    expect(browser.locator(".path code")).to_have_text(paths[mistaken[0]])
    link = page.url
    page.keyboard.press("Escape")
    expect(browser.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(browser).to_be_hidden()
    page.go_back()
    expect(browser.locator(".card")).to_have_count(len(mistaken))
    page.goto("about:blank")
    page.goto(link)  # a view is its address
    expect(browser.locator(".path code")).to_have_text(paths[mistaken[0]])


def test_each_number_of_the_test_between_the_best_two_shows_its_images(report, open_page, answers):
    page = open_page()
    page.goto(report)
    best, second = names(page)[:2]
    (labels, guess, _, paths), (_, other, _, _) = answers(best), answers(second)
    right, right_there = guess == labels, other == labels
    wanted = [right != right_there, right & ~right_there, ~right & right_there]
    links = page.locator(".verdict").first.get_by_role("link")
    assert links.all_inner_texts() == [str(each.sum()) for each in wanted]
    for place, each in enumerate(wanted):
        links.nth(place).click()
        cards = page.locator("#images .card")
        expect(cards).to_have_count(min(60, int(each.sum())))
        shown = cards.evaluate_all("(cards) => cards.map((card) => card.title)")
        assert shown == [paths[image] for image in np.flatnonzero(each)[:60]]
        page.keyboard.press("Escape")


def test_the_threshold_says_what_numpy_counts(report, open_page, answers):
    labels, predicted, confidence, _ = answers("middling")
    page = open_page()
    page.goto(report)
    part = page.locator("[data-model=middling][data-coverage]")
    slider = part.get_by_role("slider")
    for place, threshold in ((0, 0.0), (60, 0.6), (103, 0.994), (115, 0.9997)):
        slider.fill(str(place))
        taken = confidence.astype(float) >= threshold
        right = int((predicted == labels)[taken].sum())
        low, high = binomtest(right, max(int(taken.sum()), 1)).proportion_ci(method="wilson")
        words = part.locator("p").inner_text()
        assert f"Answers {100 * taken.mean():.1f} % of the images ({taken.sum()} of 500)" in words
        if taken.any():
            assert f"interval {100 * low:.2f} to {100 * high:.2f} %" in words
        assert f"{taken.sum() - right} wrong" in words
    slider.fill("60")
    part.get_by_role("link", name="wrong").click()
    wrong = (confidence.astype(float) >= 0.6) & (predicted != labels)
    expect(page.locator("#images").get_by_role("status")).to_have_text(f"{wrong.sum()} of 500 images")


def test_filters_change_the_address_and_pages_are_turned(report, open_page, answers):
    labels, _, confidence, paths = answers("lenet5")
    page = open_page()
    page.goto(f"{report}#images?model=lenet5")
    browser = page.locator("#images")
    expect(browser.get_by_role("status")).to_have_text("500 of 500 images")
    browser.get_by_role("link", name="Next").click()
    expect(browser.locator(".card").first).to_have_attribute("title", paths[60])
    browser.get_by_label("True class").select_option("3")
    browser.get_by_label("Confidence from").fill("90")
    browser.get_by_label("Confidence from").press("Tab")
    wanted = np.flatnonzero((labels == 3) & (confidence.astype(float) >= 0.9))
    expect(browser.get_by_role("status")).to_have_text(f"{len(wanted)} of 500 images")
    browser.get_by_label("Order").select_option("most confident first")
    assert unquote(urlsplit(page.url).fragment) == "images?model=lenet5&true=3&from=0.9&order=sure"
    surest = wanted[np.argsort(-confidence[wanted], kind="stable")[0]]
    expect(browser.locator(".card").first).to_have_attribute("title", paths[surest])
    page.go_back()
    expect(browser.locator(".card").first).to_have_attribute("title", paths[wanted[0]])


def test_a_photo_is_enlarged_from_its_file_or_its_thumbnail(report, open_page, answers, trained):
    _, _, _, paths = answers("head")
    page = open_page()
    page.goto(f"{report}#images?model=head&image=0")
    closeup = page.get_by_role("dialog")
    expect(closeup.locator(".large img")).to_be_visible()  # the original: its thumbnail is a part of a sheet
    address = unquote(urlsplit(closeup.get_by_role("link", name="Open the file").get_attribute("href")).path)
    base = unquote(urlsplit(report).path).rpartition("/")[0]
    assert (trained / paths[0]).samefile(f"{base}/{address}")
    closeup.get_by_role("button", name="Copy").click()
    expect(closeup.get_by_role("button", name="Copied")).to_be_visible()
    assert {each.inner_text() for each in closeup.locator(".answers h3").all()} == {
        f"{name} {'right' if labels[0] == guess[0] else 'wrong'}"
        for name in ("head", "finetuned")
        for labels, guess, _, _ in [answers(name)]
    }
    page.goto(f"{report}#images?model=lenet5&image=7")  # no file of its own
    expect(closeup.get_by_role("link")).to_have_count(0)
    expect(closeup.locator(".large .picture")).to_be_visible()


def test_the_arrows_move_between_pictures(report, open_page):
    page = open_page()
    page.goto(f"{report}#images?model=lenet5")
    page.locator(".card").nth(0).focus()
    columns = page.locator(".card").evaluate_all(
        "(cards) => cards.filter((card) => card.offsetTop === cards[0].offsetTop).length"
    )
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft"):
        page.keyboard.press(key)
    expect(page.locator(".card").nth(columns)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".card").nth(columns)).to_be_focused()


def test_curves_are_switched_off_and_on(report, open_page):
    page = open_page()
    page.goto(report)
    curves = page.locator(".curves").first
    lines = curves.locator("[data-series='1']")
    expect(lines).to_have_count(2)
    box = curves.get_by_role("checkbox").nth(1)
    box.uncheck()
    expect(lines.first).to_be_hidden()
    expect(curves.locator("[data-series='0']").first).to_be_visible()
    box.check()
    expect(lines.last).to_be_visible()


@pytest.mark.parametrize("face", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_page_and_all_can_be_read(report, open_page, width, face):
    page = open_page(width, face)
    page.goto(report)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 21, 26)"}[face]
    for view in ("", "#images?model=lenet5&order=unsure", "#images?model=head&image=0"):
        page.goto(report + view)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator("#images").evaluate("(each) => each.scrollWidth") <= width
        # WCAG 2.1's contrast of the text and its background, 4.5 at least
        assert page.evaluate(CONTRASTS) >= 4.5


def test_what_scrolls_shows_it(report, open_page):
    page = open_page(390)
    page.goto(report)
    box = page.locator(".scrolls").first
    expect(box).to_have_class(re.compile("more-right"))
    box.locator(".scroll").evaluate("(each) => each.scrollTo(1e6, 0)")
    expect(box).not_to_have_class(re.compile("more-right"))
    expect(box).to_have_class(re.compile("more-left"))


CONTRASTS = """() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map((part) => part / 255)
      .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const behind = (element) => { // tints are laid over what is below them
    const [r, g, b, alpha = 1] = parts(getComputedStyle(element).backgroundColor);
    if (alpha === 1) return `rgb(${r}, ${g}, ${b})`;
    const below = parts(element.parentElement ? behind(element.parentElement) : "rgb(255, 255, 255)");
    return `rgb(${[r, g, b].map((part, k) => alpha * part + (1 - alpha) * below[k]).join(", ")})`;
  };
  const text = "p, dt, dd, th, td, td a, h1, h2, h3, h4, small, summary, pre";
  const kinds = `${text}, label, nav a, .card span, button`;
  const ratios = [...document.querySelectorAll(kinds)]
    .filter((element) => element.textContent.trim() && element.checkVisibility() && !element.disabled)
    .filter((element) => !element.closest("[inert]"))
    .map((element) => [light(getComputedStyle(element).color), light(behind(element))].sort((a, b) => b - a))
    .map(([brighter, darker]) => (brighter + 0.05) / (darker + 0.05));
  return Math.min(...ratios);
}"""


def test_it_prints_whole(report, open_page):
    """What is folded is left out; a run takes two pages at most, and each begins one."""
    page = open_page(794)
    page.goto(report)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    for box in page.locator(".scroll").all():
        assert box.evaluate("(each) => getComputedStyle(each).overflowX") == "visible"
    assert page.locator(".worst").count() == page.locator(".worst:has(.card)").count() > 0
    page.set_viewport_size({"width": 703, "height": 900})  # A4 less its margins
    beyond = "(each) => each.checkVisibility() && each.getBoundingClientRect().right > innerWidth + 1"
    assert page.evaluate(f"[...document.querySelectorAll('table')].filter({beyond}).length") == 0
    printed = page.pdf(format="A4")
    num_pages = len(re.findall(rb"/Type\s*/Page\b", printed))
    num_runs, num_data_sets = page.locator("article").count(), page.locator(".data-set").count()
    assert num_runs + num_data_sets <= num_pages <= 2 * num_runs + 2 * num_data_sets
    page.goto(f"{report}#images?model=lenet5")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    expect(page.locator("#images .card")).to_have_count(500)
    expect(page.get_by_role("article").first).to_be_hidden()


def test_every_picture_has_a_description(report, open_page):
    page = open_page()
    page.goto(f"{report}#images?model=lenet5&image=3")
    expect(page.get_by_role("dialog").get_by_role("img").first).to_be_visible()
    assert page.locator("img:not([alt]), [role=img]:not([aria-label])").count() == 0
