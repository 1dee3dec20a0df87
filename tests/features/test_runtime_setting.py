"""`backbone.runtime` on the command line, with the embedded sample."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from convlab.cli.commands import features

TINY = [
    "data=patches",
    "backbone=resnet18_random",
    "backbone.architecture=test_resnet",
    "+backbone.options.zero_init_last=false",
]


def vectors(project: Path, *overrides: str) -> np.ndarray:
    """What the stage writes, computed anew."""
    shutil.rmtree(project / ".convlab" / "bottlenecks", ignore_errors=True)
    shutil.rmtree(project / "features", ignore_errors=True)
    assert features.run([*TINY, *overrides]) == 0
    return np.load(project / "features" / "patches" / "resnet18_random" / "vectors.npy")


@pytest.mark.slow
def test_runtimes_give_the_same_vectors_whatever_the_batches(project, capsys):
    plain = vectors(project, "backbone.runtime=torch")
    assert "runtime: torch (backbone.runtime=torch)" in capsys.readouterr().out
    assert plain.shape == (120, 96)
    for runtime in ("onnxruntime", "openvino"):
        found = vectors(project, f"backbone.runtime={runtime}")
        assert f"runtime: {runtime} (backbone.runtime={runtime})" in capsys.readouterr().out
        difference = np.linalg.norm(found - plain, axis=1) / np.linalg.norm(plain, axis=1)
        assert 0 < difference.max() < 1e-5
        assert np.array_equal(vectors(project, f"backbone.runtime={runtime}", "batch_size=7"), found)
    assert len(list((project / ".convlab" / "runtimes").iterdir())) == 1


def test_the_sample_is_computed_by_plain_torch_and_nothing_again_by_another(project, monkeypatch, capsys):
    """It is little work: no export, and on any machine without a GPU the same runtime."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    first = vectors(project)
    assert "runtime: torch (auto: 120 images are " in capsys.readouterr().out
    assert not (project / ".convlab" / "runtimes").exists()
    shutil.rmtree(project / "features")
    assert features.run([*TINY, "backbone.runtime=onnxruntime"]) == 0
    printed = capsys.readouterr().out
    assert "reused 120, computed 0" in printed
    assert "runtime:" not in printed
    again = np.load(project / "features" / "patches" / "resnet18_random" / "vectors.npy")
    assert np.array_equal(again, first)
