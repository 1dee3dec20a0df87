"""A run's files by functions, until training and tracking take a Run."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from convlab.base.files import write_json
from convlab.models import saved
from convlab.runs import lineage, model_file
from convlab.runs.model_file import ModelFile
from convlab.runs.run import Run

__all__ = ["write_json"]


def run_dir(name: str) -> Path:
    return Run.find(name).directory


def read_state(directory: Path) -> dict[str, Any]:
    return Run(directory).state


def update_state(directory: Path, **facts: Any) -> None:
    Run(directory).update_state(**facts)


def read_card(directory: Path) -> dict[str, Any]:
    return asdict(model_file.read(directory))


def load_model(directory: Path, weights: str | None = None) -> Any:
    return saved.load(directory, weights)


def save_model(directory: Path, weights: Any, described: dict[str, Any]) -> Any:
    return asdict(saved.save(directory, weights, ModelFile(**described)))


def build_model(model: dict[str, Any]) -> Any:
    return saved.build(model)


def git_state() -> dict[str, Any]:
    return lineage.git_state()
