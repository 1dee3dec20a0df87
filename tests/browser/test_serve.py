"""The page of `convlab serve` in a real browser: a drawn digit and a chosen photo are told right."""

import io

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect
from serving import running, serving

from convlab.serving.served import Served

# as lines between points, from 0 to 1 across and down the pad
DRAWN = {
    "1": [[(0.5, 0.15), (0.5, 0.85)]],
    "0": [[(0.5, 0.15), (0.34, 0.25), (0.3, 0.5), (0.34, 0.75), (0.5, 0.85), (0.66, 0.75), (0.7, 0.5),
           (0.66, 0.25), (0.5, 0.15)]],
    "4": [[(0.4, 0.15), (0.3, 0.55), (0.7, 0.55)], [(0.62, 0.3), (0.58, 0.9)]],
}  # fmt: skip
SMALL = 0.3  # of the size above, in a corner: it is scaled and centred before it is sent


@pytest.fixture(scope="module")
def digits_url(trained):
    with serving(trained, "--model", "lenet5") as server:
        yield server.url


def draw(page, strokes, scale=1.0):
    box = page.locator("#pad").bounding_box()

    def at(point):
        return box["x"] + point[0] * scale * box["width"], box["y"] + point[1] * scale * box["height"]

    for first, *others in strokes:
        page.mouse.move(*at(first))
        page.mouse.down()
        for point in others:
            page.mouse.move(*at(point), steps=5)
        page.mouse.up()


def wait_for_pictures(page):
    page.wait_for_selector("#pictures:not(.busy) figure:last-child img")
    return page.locator("#pictures strong").all_inner_texts()


@pytest.mark.parametrize("scale", [1.0, SMALL])
@pytest.mark.parametrize("digit", DRAWN)
def test_a_drawn_digit_is_told(digits_url, open_page, digit, scale):
    page = open_page()
    page.goto(digits_url)
    draw(page, DRAWN[digit], scale)
    wait_for_pictures(page)
    expect(page.locator("#answer")).to_have_text(digit)  # of several strokes, the last one's answer
    assert page.locator("#bars li").count() == 5


def test_the_page_from_a_drawing_to_an_empty_pad(digits_url, open_page):
    page = open_page(width=390, face="dark")
    page.goto(digits_url)
    draw(page, DRAWN["1"])
    assert wait_for_pictures(page) == [
        *("The network's input", "Grad-CAM", "Deconvolutional network", "The same, map by map"),
    ]
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    shares = [float(text.strip("< %")) for text in page.locator(".share").all_inner_texts()]
    assert shares == sorted(shares, reverse=True)
    other = page.locator("#bars button").nth(1)
    before = page.locator("#pictures img").nth(1).get_attribute("src")
    other.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#bars li:nth-child(2) button[aria-pressed=true]")
    assert page.locator("#pictures img").nth(1).get_attribute("src") != before
    page.get_by_role("button", name="Clear").click()
    assert page.locator("#answer").inner_text() == "Nothing yet."
    assert page.locator("#pictures figure").count() == 0


def test_a_chosen_photo_is_told_and_a_broken_one_refused_in_words(trained, monkeypatch, open_page):
    monkeypatch.setenv("CONVLAB_PROJECT", str(trained))
    monkeypatch.chdir(trained)
    model = Served("head")
    photos = sorted((trained / "data" / "patches" / "flower").iterdir())
    rows = model.probabilities(np.stack([model.pixels(photo.read_bytes()) for photo in photos]))
    surest = rows[:, model.classes.index("flower")].argmax()  # the sample's patches are hard, some look alike
    photo, row = photos[surest], rows[surest]
    with running(lambda: model) as url:
        page = open_page(known=["422"])
        page.goto(url)
        page.wait_for_selector("#file", state="attached")
        page.set_input_files("#file", photo)
        assert wait_for_pictures(page) == ["The network's input", "Grad-CAM", "Guided Grad-CAM"]
        assert page.locator("#answer").inner_text() == "flower"
        assert page.locator(".share").first.inner_text() == f"{100 * row.max():.1f} %"
        page.set_input_files("#file", {"name": "x.jpg", "mimeType": "image/jpeg", "buffer": b"no photo"})
        page.wait_for_selector("#error:not([hidden])")
        refused = page.locator("#error").inner_text()
        assert refused.startswith("This file can't be read as an image. Save it as JPEG or PNG")
        assert "not an image of a known kind" in refused
        assert page.locator("#bars li").count() == 0
        page.goto(f"{url}/docs")
        assert page.locator("h2").first.inner_text() == "POST /predict"


def test_a_dropped_image_is_told(digits_url, open_page):
    file = io.BytesIO()
    image = Image.new("L", (28, 28))
    image.paste(255, (12, 4, 16, 24))
    image.save(file, "PNG")
    page = open_page()
    page.goto(digits_url)
    page.evaluate(
        """(bytes) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(bytes)], "one.png", { type: "image/png" }));
          document.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer }));
        }""",
        list(file.getvalue()),
    )
    wait_for_pictures(page)
    assert page.locator("#answer").inner_text() == "1"
    assert page.locator("#preview").is_visible()
    assert page.locator(".measured").inner_text().startswith("Of 500 test images it was right on 96.4 %")


def test_an_image_without_content_is_answered_with_doubt(digits_url, open_page):
    file = io.BytesIO()
    Image.new("L", (28, 28), 60).save(file, "PNG")
    page = open_page()
    page.goto(digits_url)
    page.set_input_files("#file", {"name": "x.png", "mimeType": "image/png", "buffer": file.getvalue()})
    wait_for_pictures(page)
    assert page.locator("#answer").inner_text().startswith("Unsure: ")
    assert page.locator("#unsure").inner_text().startswith("Don't rely on it: the image is of one colour")
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#unsure")).to_be_hidden()


def test_an_explanation_that_fails_leaves_the_answer(digits_url, open_page):
    page = open_page(known=["503"])
    page.route("**/explain*", lambda route: route.fulfill(status=503, body="<p>a proxy's page</p>"))
    page.goto(digits_url)
    draw(page, DRAWN["1"])
    expect(page.locator("#pictures")).to_have_text(
        "The server is busy, or still starting. Try again in some seconds."
    )
    expect(page.locator("#answer")).to_have_text("1")
