"""Make docs/images/mlflow-*.png, report-*.png and report-images-*.png: `convlab ui`, `convlab compare --out`.

usage: python docs/screenshots.py [RUN...]

Takes the runs of this project (default: the two newest with a result) from a copy of its mlflow.db, in light
and dark, 1280 and 390 pixels wide. Needs Chromium, and playwright from the dev extra.
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from convlab.base.project import project_dir
from convlab.cli.commands import compare
from convlab.runs.report import links
from convlab.runs.run import Run
from convlab.tracking import store

IMAGES = Path(__file__).parent / "images"
WIDTHS = {1280: 860, 390: 844}  # and heights
FACES = ("light", "dark")
NUM_COLOURS = 192
SETTLE_MS = 6000
# MLflow's assistant opens by itself on the first visit
SETTLED = "localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="*")
    names = parser.parse_args().runs or newest()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        program = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=program)
        compare.run([*names, "--out", folder])
        report = f"file://{folder}/comparison.html"
        shoot(browser, "report", report, settle)
        shoot(browser, "report-images", report + links.images(names[0], answer="wrong", order="sure"), settle)
        with server(Path(folder)) as address:
            shoot_mlflow(browser, address, [recorded(name) for name in names])
        browser.close()


def newest() -> list[str]:
    found = sorted(project_dir().glob("runs/*/metrics.json"), key=lambda path: -path.stat().st_mtime)
    return [path.parent.name for path in found[:2]]


def recorded(name: str) -> str:
    return str(Run.find(name).state["mlflow"]["run_id"])


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """MLflow on a copy of the database."""
    database = folder / "mlflow.db"
    shutil.copy(project_dir() / "mlflow.db", database)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{database}"}
    os.environ["MLFLOW_TRACKING_URI"] = environment["MLFLOW_TRACKING_URI"]  # the view is asked for here
    command = [sys.executable, "-m", "convlab", "ui", "--port", str(port)]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        for _ in range(1200):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).read()
                break
            except OSError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, 15)
        process.wait()


def shoot_mlflow(browser: Browser, address: str, ids: list[str]) -> None:
    run = f"{address}/#/experiments/1/runs/{ids[0]}"
    listed = "%2C".join(f"%22{each}%22" for each in ids)
    chosen = f"{address}/#/compare-runs?runs=%5B{listed}%5D&experiments=%5B%221%22%5D"
    shoot(browser, "mlflow-list", store.table_url(address, "convlab"), open_list)
    shoot(browser, "mlflow-run", f"{run}?workflowType=machine_learning", settle)
    shoot(browser, "mlflow-curves", f"{run}/model-metrics?workflowType=machine_learning", open_curves)
    shoot(browser, "mlflow-artifacts", f"{run}/artifacts?workflowType=machine_learning", open_figure)
    shoot(browser, "mlflow-compare", f"{chosen}&workflowType=machine_learning", settle)


def settle(page: Page) -> None:
    page.wait_for_timeout(SETTLE_MS)  # the interface goes on asking the server: it is never idle


def open_list(page: Page) -> None:
    page.locator("[role=row] a").first.wait_for(timeout=60_000)
    settle(page)
    sweep = page.locator("[role=gridcell]", has_text="sweep ").get_by_role("button").first
    if sweep.is_visible():
        sweep.click()
        page.wait_for_timeout(1000)


def open_curves(page: Page) -> None:
    settle(page)
    page.mouse.move(page.viewport_size["width"] - 100, 500)  # type: ignore[index]
    page.mouse.wheel(0, 1220)  # past the test's single figures
    settle(page)


def open_figure(page: Page) -> None:
    for name in ("figures", "confusion.png"):
        page.get_by_text(name, exact=True).first.click(timeout=60_000)
    settle(page)


def shoot(browser: Browser, name: str, url: str, prepare: Callable[[Page], None]) -> None:
    """One picture for each width and face, `docs/images/<name>-<face>-<width>.png`."""
    for width, height in WIDTHS.items():
        for face in FACES:
            context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=face)
            page = context.new_page()
            page.add_init_script(SETTLED)
            page.goto(url, timeout=60_000)
            prepare(page)
            if width < 800 and (sidebar := page.get_by_role("button", name="Toggle sidebar")).is_visible():
                sidebar.click()
                page.wait_for_timeout(1500)
            path = IMAGES / f"{name}-{face}-{width}.png"
            page.screenshot(path=path)
            context.close()
            with Image.open(path) as picture:
                picture.convert("RGB").quantize(NUM_COLOURS).save(path, optimize=True)


if __name__ == "__main__":
    main()
