"""What is said where a package of an extra is missing."""

import importlib

import pytest

from convlab.cli import extras
from convlab.cli import main as cli


@pytest.mark.parametrize(
    ("module", "remedy"),
    [
        ("torch", "torch: pip install 'convlab[train]'"),
        ("torch.nn", "torch: pip install 'convlab[train]'"),
        ("pytorch_lightning", "pytorch-lightning: pip install 'convlab[train]'"),
        ("sklearn", "scikit-learn: pip install 'convlab[train]'"),
        ("mlflow", "mlflow: pip install 'convlab[track]'"),
        ("optuna", "optuna: pip install 'convlab[search]'"),
        ("starlette", "fastapi: pip install 'convlab[serve]'"),
        ("prometheus_client", "prometheus-client: pip install 'convlab[serve]'"),
        ("captum", "captum: pip install 'convlab[explain]'"),
        ("onnxscript", "onnxscript: pip install 'convlab[export]'"),
        ("openvino", "openvino: pip install 'convlab[openvino]'"),
        ("psycopg", "psycopg: pip install 'convlab[postgresql]'"),
        ("numpy", None),  # always needed: to be without is no question of extras
        ("convlab.cli.nonsense", None),
    ],
)
def test_the_extra_that_brings_a_module(module: str, remedy: str | None) -> None:
    assert extras.remedy(module) == remedy


def missing(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def imported(name: str) -> None:
        raise ModuleNotFoundError(f"No module named '{module}'", name=module)

    monkeypatch.setattr(importlib, "import_module", imported)


def test_a_verb_without_its_extra_says_in_one_line_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing("pytorch_lightning", monkeypatch)
    assert cli.main(["train"]) == 1
    assert capsys.readouterr().err == "convlab train needs pytorch-lightning: pip install 'convlab[train]'\n"


def test_any_other_missing_module_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    missing("convlab.training.nonsense", monkeypatch)
    with pytest.raises(ModuleNotFoundError, match="nonsense"):
        cli.main(["train"])
