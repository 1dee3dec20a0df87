"""Fixtures of the verbs that begin with evaluated runs."""

import shutil
from pathlib import Path

import pytest
from sample_runs import train_all

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the evaluated runs of `sample_runs`: to be copied from, not changed."""
    directory = tmp_path_factory.mktemp("trained")
    shutil.copytree(ROOT / "conf", directory / "conf")
    (directory / "data").symlink_to(ROOT / "assets" / "sample")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONVLAB_PROJECT", str(directory))
        patch.chdir(directory)
        train_all()
    return directory
