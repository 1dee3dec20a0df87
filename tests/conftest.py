"""Fixtures for every test: a project of its own, the command line in it, a web server on this machine."""

import gzip
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from http_server import Server, Site
from published import Project
from urllib3.util import Retry
from xdist.scheduler import LoadScopeScheduling

import convlab as _convlab  # noqa: F401  before anything that imports torchvision

ROOT = Path(__file__).parents[1]
if "PYTEST_XDIST_WORKER" in os.environ:  # tests run side by side: a thread each, in their processes too
    os.environ["OMP_NUM_THREADS"] = "1"
os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "HF_HUB_OFFLINE": "1", "NO_COLOR": "1"}
if "CONVLAB_MIRROR" in os.environ:  # under another name, for the slow tests in the processes started next
    os.environ["TESTS_MIRROR"] = os.environ["CONVLAB_MIRROR"]
for name in ("CONVLAB_MIRROR", "CONVLAB_STATE", "MLFLOW_TRACKING_URI"):
    os.environ.pop(name, None)


TOGETHER = (
    "tests/test_pipeline.py",
    "tests/test_own_experiment.py",
    "tests/test_extend.py",
    "tests/browser/",
    "tests/serving/",
)  # each shares what takes long to make


LONGEST = (*TOGETHER, "tests/test_pages.py", "tests/test_own_images.py")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes don't name a test: each test process makes them anew, and an archive holds the time of day."""
    return argname if isinstance(val, bytes) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first: at the end they would be waited for, with one process at work."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Keep tests that share something in one process; xdist 3.8 has its groups ignored by pytest 9.2."""

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return next((path for path in TOGETHER if nodeid.startswith(path)), nodeid)

    return Together(config, log)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project directory with the real `conf/` and the embedded sample as `data/`; the cwd."""
    directory = tmp_path / "project"
    directory.mkdir()
    shutil.copytree(ROOT / "conf", directory / "conf")
    (directory / "data").symlink_to(ROOT / "assets" / "sample")
    monkeypatch.setenv("CONVLAB_PROJECT", str(directory))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)  # Lightning's logger sets it
    monkeypatch.chdir(directory)
    return directory


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A project with the evaluated runs of `sample_runs`: to be copied from, not changed. Made once."""
    from sample_runs import train_all

    directory = shared_folder(tmp_path_factory, worker_id) / "trained"
    with FileLock(f"{directory}.lock"), pytest.MonkeyPatch.context() as patch:
        if (directory / "complete").exists():
            return directory
        shutil.copytree(ROOT / "conf", directory / "conf")
        (directory / "data").symlink_to(ROOT / "assets" / "sample")
        patch.setenv("CONVLAB_PROJECT", str(directory))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)  # Lightning's logger sets it
        patch.chdir(directory)
        train_all()
        (directory / "complete").touch()
    return directory


def shared_folder(factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A temporary one that all test processes of this run have."""
    base = factory.getbasetemp()
    return base if worker_id == "master" else base.parent


@pytest.fixture
def mirror() -> str:
    """The mirror of the published data that the caller's environment names; the test is skipped without."""
    if not (named := os.environ.get("TESTS_MIRROR")):
        pytest.skip("needs the published data: set CONVLAB_MIRROR (docs/how-to/mirrors.md)")
    return named


@pytest.fixture
def convlab(project: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line in a process of its own, in `project`."""

    def run(*arguments: str, check: bool = True, **more: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "convlab", *arguments],
            cwd=project,
            env=os.environ | more,
            capture_output=True,
            text=True,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    return run


@pytest.fixture
def write_idx() -> Callable[[Path, np.ndarray], None]:
    """Write uint8 images n h w or labels n as a gzipped IDX file."""

    def write(path: Path, values: np.ndarray) -> None:
        magic = 2051 if values.ndim == 3 else 2049
        header = struct.pack(f">{1 + values.ndim}i", magic, *values.shape)
        path.write_bytes(gzip.compress(header + values.astype(np.uint8).tobytes()))

    return write


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A web server on this machine, empty as yet: fill `site.files`, ask `site.url`, look at `site.log`."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server()
    yield server.site
    server.stop()


@pytest.fixture(scope="module")
def store_server() -> Iterator[dict[str, str]]:
    """An object store on this machine: the variables that lead to it, which are set."""
    from object_server import object_server

    with object_server() as variables:
        yield variables


@pytest.fixture
def fetch_project(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The current project: three small things to fetch from `site`, nothing fetched yet, one retry."""
    monkeypatch.setenv("CONVLAB_PROJECT", str(tmp_path / "project"))
    for variable in ("CONVLAB_MIRROR", "CONVLAB_STATE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("convlab.data.fetching.retries.POLICY", Retry(total=1))
    # nothing of what convlab itself knows to fetch
    monkeypatch.setattr("convlab.base.project.conf_dirs", lambda: [tmp_path / "project" / "conf"])
    return Project(tmp_path / "project", site)
