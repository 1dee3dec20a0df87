"""What a champion is, what it was measured on, and what it is not good for, as Markdown.

`model_card.md.jinja` is its text. The idea and most headings are those of Mitchell et al., Model Cards for
Model Reporting (2019).
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convlab.base import templates
from convlab.base.errors import ConvlabError
from convlab.promotion.gate import Condition
from convlab.runs.metrics import of_section
from convlab.runs.model_file import ModelFile
from convlab.runs.run import Run

HASHES = ("config_hash", "data_hash", "backbone_hash", "weights_hash")
SMALL = 1000  # test images: below, the card warns that an accuracy is rough


@dataclass(frozen=True)
class Licences:
    """Terms in words; `weights` are the published ones that the network began with, if it did."""

    data: str
    weights: str | None

    @classmethod
    def of(cls, settings: dict[str, Any], data: str, backbone: dict[str, Any] | None) -> "Licences":
        """What `conf/licences.yaml` says; of what it doesn't list, that the terms are unknown."""
        name = (backbone or {}).get("name", "none")
        weights = None if name == "none" else _terms(settings, "backbone", name)
        return cls(_terms(settings, "data", data), weights)


def markdown(
    run: Run, model: ModelFile, conditions: list[Condition], licences: Licences, chosen_from: int = 1
) -> str:
    """The card of an evaluated `run` with predictions.

    model: its model.json. chosen_from: of how many runs it is the most accurate on the test split.
    """
    environment = templates.environment(Path(__file__).parent)
    environment.filters |= {"plain": _plain}
    classes = _by_class(run, model.classes)
    return environment.get_template("model_card.md.jinja").render(
        run=run,
        model=model,
        conditions=conditions,
        licences=licences,
        chosen_from=chosen_from,
        test=run.metrics["test"],
        metrics=of_section("test"),
        classes=classes,
        weakest=min(classes, key=lambda each: each["recall"]),
        hashes={name: run.lineage[name] for name in HASHES if name in run.lineage},
        small=run.metrics["test"]["num_images"] < SMALL,
    )


def _by_class(run: Run, names: list[str]) -> list[dict[str, Any]]:
    """Each class with its test images, recall, and precision (None if no image was taken for it)."""
    if run.predictions is None:
        raise ConvlabError(f"{run.name} has no predictions.npz. `convlab evaluate {run.name}` writes it.")
    labels, probabilities = run.predictions
    best = probabilities.argmax(1)
    rows = []
    for index, name in enumerate(names):
        own, said = labels == index, best == index
        found = float((own & said).sum())
        recall, precision = found / max(own.sum(), 1), found / said.sum() if said.any() else None
        rows.append({"name": name, "num_images": int(own.sum()), "recall": recall, "precision": precision})
    return rows


def _terms(settings: dict[str, Any], kind: str, name: str) -> str:
    known = (settings.get(kind) or {}).get(name)
    if known:
        return str(known)
    return f"unknown: conf/licences.yaml does not list {name}. Find out before you pass the model on."


def _plain(text: object) -> str:
    """Text that Markdown and HTML leave as it is, also in a table."""
    return re.sub(r"([\\`*<>\[\]|])", r"\\\1", str(text)).replace("\n", " ")
