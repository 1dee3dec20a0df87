"""The sheet of `convlab predict --sheet` as a reader has it: one file, which is filtered and enlarged."""

import pytest
from PIL import Image
from playwright.sync_api import expect

from convlab.prediction.sheet import Sheet

HOSTILE = "<img src=x onerror=alert(1)>"
ROWS = [
    ("red", "a.png", HOSTILE, 0.9),
    ("lime", "sub folder/b#1.png", "b", 0.6),
    ("blue", "standard input", "b", 0.4),
]


@pytest.fixture
def sheet(tmp_path, monkeypatch):
    """Makes the sheet of three photos of 2 classes in a folder of its own; the photos lie one above."""

    def make(*truths):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "sub folder").mkdir()
        (tmp_path / "out").mkdir()
        made = Sheet(tmp_path / "out" / "photos.html", "network")
        for (colour, path, name, share), truth in zip(ROWS, truths or [None] * 3, strict=True):
            Image.new("RGB", (900, 600), colour).save(tmp_path / path, "PNG")
            other = "b" if name != "b" else HOSTILE
            classes = [{"class": name, "probability": share}, {"class": other, "probability": 1 - share}]
            made.add({"path": path, "classes": classes}, tmp_path / path, truth)
        made.write()
        return f"file://{tmp_path}/out/photos.html"

    return make


def test_a_photo_is_found_enlarged_and_opened(sheet, open_page, tmp_path):
    page = open_page()
    page.goto(sheet())
    expect(page.locator(".card")).to_have_count(3)
    assert page.get_by_label("True class").count() == page.get_by_label("Answer").count() == 0
    expect(page.locator(".card").first).to_contain_text(HOSTILE)
    page.get_by_label("Predicted class").select_option("b")
    expect(page.get_by_role("status")).to_have_text("2 of 3 images")
    page.locator(".card").first.click()
    link = page.get_by_role("link", name="Open the file")
    assert link.get_attribute("href") == "../sub%20folder/b%231.png"
    picture = page.get_by_role("dialog").locator(".large img")
    expect(picture).to_have_js_property("naturalWidth", 900)  # the file's; the thumbnail has 320
    page.keyboard.press("ArrowRight")
    expect(page.locator(".path code")).to_have_text("standard input")
    expect(link).to_have_count(0)
    expect(picture).to_have_js_property("naturalWidth", 320)


def test_with_true_classes_right_is_told_from_wrong(sheet, open_page):
    page = open_page(390, "dark")
    page.goto(sheet(HOSTILE, HOSTILE, "b"))
    page.get_by_label("Answer").select_option("wrong")
    expect(page.locator(".card")).to_have_count(1)
    expect(page.locator(".card")).to_contain_text(f"not {HOSTILE}")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
