"""MLflow's interface on real runs, as `convlab ui` opens it."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import expect

from convlab.base.errors import ConvlabError
from convlab.cli.commands import train, ui
from convlab.runs.run import Run
from convlab.tracking import store

pytestmark = pytest.mark.slow  # a server and a browser for each; tests/tracking has what they show
KNOWN = (  # of MLflow itself
    "mlflow/users/current",  # it asks who is logged in; a server without accounts has no such address
    "ResizeObserver loop completed with undelivered notifications",  # its charts are laid out twice
)
SAID = "said.txt"  # by `convlab ui`
QUICK = ("experiment=digits_fully_connected", "trainer.max_epochs=2", "model.hidden=8")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A project with a run, `alone`, and a sweep of two, all evaluated; and MLflow's address on them."""
    root = Path(__file__).parents[2]
    project = tmp_path_factory.mktemp("recorded")
    shutil.copytree(root / "conf", project / "conf")
    (project / "data").symlink_to(root / "assets" / "sample")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONVLAB_PROJECT", str(project))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.chdir(project)
        assert train.run([*QUICK, "name=alone", "evaluate=true"]) == 0
        assert train.run(["-m", *QUICK, "seed=1,2"]) == 0
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)  # Lightning's logger sets it
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        with (project / SAID).open("w") as said:
            server = subprocess.Popen(
                [sys.executable, "-m", "convlab", "ui", "--port", str(port)],
                env=os.environ | {"CONVLAB_PROJECT": str(project)},
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            address = f"http://127.0.0.1:{port}"
            wait_for(f"{address}/health")
            yield project, address
        finally:
            os.killpg(server.pid, 15)
            server.wait()


def wait_for(url):
    for _ in range(1200):
        try:
            urllib.request.urlopen(url, timeout=1).read()
            return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"{url} does not answer")


@pytest.fixture
def visit(recorded, open_page):
    """Opens a page of MLflow without its assistant's panel, which opens by itself on the first visit."""
    _, address = recorded

    def visit(path, **how):
        page = open_page(known=KNOWN, **how)
        page.add_init_script("localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')")
        page.goto(f"{address}{path}")
        return page

    return visit


def table(project):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONVLAB_PROJECT", str(project))
        return store.table_url("", "convlab")


def run_id(project, name="alone"):
    return Run(project / "runs" / name).state["mlflow"]["run_id"]


@pytest.mark.parametrize(("width", "face"), [(1600, "light"), (390, "dark")])
def test_the_list_shows_runs_under_their_sweep_in_the_columns_that_matter(recorded, visit, width, face):
    project, _ = recorded
    page = visit(table(project), width=width, face=face)
    grid = page.get_by_role("grid").or_(page.get_by_role("treegrid"))
    expect(page.get_by_role("link", name="alone", exact=True).first).to_be_visible()
    expect(page.get_by_role("link", name=re.compile("^sweep "))).to_be_visible()
    if width > 1000:
        headings = grid.get_by_role("columnheader")
        for name in ("test/acc", "test/loss", "val/acc", "model", "lr"):
            expect(headings.filter(has_text=re.compile(f"^{name}$"))).to_have_count(1)


def test_charts_begin_with_the_curves(recorded, visit):
    project, _ = recorded
    page = visit(f"{table(project)}&compareRunsMode=CHART", width=1600)
    expect(page.get_by_text("val/acc", exact=True).first).to_be_in_viewport()
    expect(
        page.get_by_text("train/seconds", exact=True).first
    ).to_be_attached()  # what the view does not name


def test_a_run_tells_its_result_and_how_to_repeat_it(recorded, visit):
    project, _ = recorded
    page = visit(f"/#/experiments/1/runs/{run_id(project)}?workflowType=machine_learning")
    note = page.get_by_text(re.compile(r"^Test accuracy \d\d\.\d\d %$"))
    expect(note).to_be_visible()
    expect(page.get_by_text("convlab train experiment=digits_fully_connected").first).to_be_in_viewport()
    page.get_by_text("Show more").click()
    page.wait_for_function("document.querySelector('img[src*=\"figures/curves.png\"]')?.naturalWidth > 300")
    expect(page.get_by_text("model.hidden", exact=True)).to_be_visible()
    page.get_by_role("tab", name="Model metrics").click()
    for section in ("test", "test_class", "train", "val"):
        expect(page.get_by_text(section, exact=True).first).to_be_attached()
    page.get_by_role("tab", name="System metrics").click()
    expect(page.get_by_text("cpu_utilization_percentage", exact=True).first).to_be_visible()


def test_a_runs_files_and_figures_can_be_looked_at(recorded, visit):
    project, _ = recorded
    page = visit(f"/#/experiments/1/runs/{run_id(project)}/artifacts?workflowType=machine_learning")
    for name in ("checkpoints", "figures", "config.yaml", "metrics.json", "environment.txt"):
        expect(page.get_by_text(name, exact=True).first).to_be_visible()
    page.get_by_text("config.yaml", exact=True).first.click()
    expect(page.get_by_text("max_epochs").first).to_be_visible()
    page.get_by_text("figures", exact=True).first.click()
    page.get_by_text("confusion.png", exact=True).first.click()
    expect(page.get_by_alt_text("figures/confusion.png")).to_be_visible()


def test_two_runs_are_compared(recorded, visit):
    project, _ = recorded
    jobs = [Run(path.parent).state for path in sorted(project.glob("sweeps/*/*/run.json"))]
    ids = [job["mlflow"]["run_id"] for job in jobs]
    listed = "%2C".join(f"%22{each}%22" for each in ids)
    page = visit(f"/#/compare-runs?runs=%5B{listed}%5D&experiments=%5B%221%22%5D")
    for job in sorted(project.glob("sweeps/*/*/run.json")):
        expect(page.get_by_text(job.parent.name).first).to_be_visible()
    expect(page.get_by_text("test/acc").first).to_be_visible()
    expect(page.get_by_text("batch_size").first).to_be_visible()


def test_the_terminal_shows_two_addresses_and_no_noise(recorded, visit):
    project, address = recorded
    visit("/").get_by_text("convlab").first.wait_for()  # it has worked
    first, second = (project / SAID).read_text().splitlines()
    assert first == f"MLflow on sqlite:///{project}/mlflow.db: {address}  (Ctrl-C ends it)"
    assert second == f"Runs, with the columns that matter: {address}{table(project)}"


def test_a_port_that_is_taken_is_said_before_anything_else(recorded, capsys):
    _, address = recorded
    port = address.rpartition(":")[2]
    with pytest.raises(ConvlabError, match=f"--port {port}: 127.0.0.1 can't be listened on: address already"):
        ui.run(["--port", port])
    assert capsys.readouterr().out == ""
