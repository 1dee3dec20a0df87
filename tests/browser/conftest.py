"""A real browser: Chromium without a window, which reaches this machine and nothing else."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from typing import Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
QUIET = ("--disable-quic", "--disable-gpu", "--no-first-run")
PATIENCE_MS = 60_000  # a page may load while other tests use the machine
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")  # for the session, its event loop would be in the way of other tests' loops
def browser() -> Iterator[Browser]:
    """The Chromium of this machine; the test is skipped where there is none."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"no browser here: install one of {', '.join(NAMES)}")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=[*QUIET])
        yield chromium
        chromium.close()


def _is_foreign(url: str) -> bool:
    address = urlsplit(url)
    return address.scheme in ("http", "https") and address.hostname not in ("127.0.0.1", "localhost")


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens an empty page of the asked width and face.

    The test fails at its end if a page wrote an error to the console, threw one, or asked another machine
    for anything. Messages that hold one of `known` are not counted.
    """
    contexts, errors = [], []

    def open_page(
        width: int = 1280, face: Literal["light", "dark"] = "light", known: Sequence[str] = ()
    ) -> Page:
        def note(message: str) -> None:
            if not any(words in message for words in known):
                errors.append(message)

        def refuse(route: Route) -> None:
            note(f"asked {route.request.url}")
            route.abort()

        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=face)
        contexts.append(context)
        context.route(_is_foreign, refuse)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.on("console", lambda line: line.type == "error" and note(f"{line.text} ({line.location})"))
        page.on("pageerror", lambda error: note(str(error)))
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []
