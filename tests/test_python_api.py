"""The notebook and the page about the Python API, run as they stand on runs that are really trained."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from hydra.utils import instantiate
from nbclient import NotebookClient
from sample_runs import copy_runs

from convlab.runs.report.results import find, read
from convlab.runs.run import Run

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "docs" / "results.ipynb"


@pytest.fixture
def evaluated(trained: Path, project: Path) -> Path:
    """A project with three evaluated runs on digits."""
    from convlab.training.evaluation import evaluate

    copy_runs(trained, project, "lenet5", "middling", "weak")
    for name in ("lenet5", "middling", "weak"):
        if not (project / "runs" / name / "metrics.json").exists():
            evaluate(project / "runs" / name)
    return project


@pytest.mark.slow
def test_the_notebook_shows_what_it_announces(evaluated: Path) -> None:
    (evaluated / "docs").mkdir()
    shutil.copy(NOTEBOOK, evaluated / "docs")
    notebook = nbformat.read(evaluated / "docs" / NOTEBOOK.name, as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(evaluated / "docs")}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    kinds = [kind for output in outputs for kind in output.get("data", {})]
    text = "\n".join(
        output.get("text", "") or output.get("data", {}).get("text/html", "") for output in outputs
    )
    assert kinds.count("image/png") == 4  # curves, confusion, mistakes, projections
    assert "(McNemar's exact test, p" in text
    for name in ("lenet5", "middling", "weak"):
        assert name in text
    assert f"lenet5: {read(find(['lenet5']))[0].metric('test/acc'):.2%} of 500 test images" in text
    assert not [output for output in outputs if output.output_type == "stream" and output.name == "stderr"]


def test_the_notebook_is_stored_empty_and_knows_no_machine() -> None:
    text = NOTEBOOK.read_text()
    code = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    assert not [cell for cell in code if cell["outputs"] or cell["execution_count"]]
    assert not re.findall(r"\"/[a-z]|/home/|/Users/|/tmp|/work", text)


def test_the_pages_examples_run(evaluated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "how-to" / "python-api.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 3
    digits_data().image("test", 0).save("digit.png")
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "python-api.md", "exec"), names)
    assert "digits (500 test images) ['lenet5', 'middling', 'weak']" in capsys.readouterr().out
    assert names["images"].shape[1:] == (1, 32, 32)  # as LeNet-5 sees them
    [run] = read(find(["lenet5"]))
    np.testing.assert_allclose(names["probabilities"][0], run.predictions[1][0], atol=1e-5)


def digits_data() -> Any:
    [run] = read(find(["lenet5"]))
    return instantiate(run.config["data"]["module"], _convert_="all")


def test_a_confusion_counted_by_hand() -> None:
    run = Run(Path())
    vars(run)["metrics"] = {"test": {"num_images": 4}, "per_class": {"a": {}, "b": {}, "c": {}}}
    run.__dict__["predictions"] = (
        np.array([0, 1, 1, 2]),
        np.array([[0.9, 0.1, 0], [0.1, 0.9, 0], [0.2, 0.1, 0.7], [0.1, 0.2, 0.7]], np.float32),
    )
    assert run.classes == ["a", "b", "c"]
    assert run.confusion is not None
    assert run.confusion.tolist() == [[1, 0, 0], [0, 1, 1], [0, 0, 1]]


def test_without_predictions_there_is_no_confusion(tmp_path: Path) -> None:
    run = Run(tmp_path)
    vars(run)["metrics"] = {"test": {"num_images": 4}, "per_class": {"a": {}}}
    assert run.confusion is None
