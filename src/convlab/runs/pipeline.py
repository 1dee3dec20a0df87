"""What `dvc repro` makes, derived from conf/: `pipeline.yaml`, the list that dvc.yaml reads.

An experiment is part of the pipeline if its file names a `report`. All else follows from what it composes:
which data and weights are fetched, which photos become vectors, what each stage depends on.
"""

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from convlab.base import config, own_code
from convlab.base.errors import ConvlabError
from convlab.base.files import atomic_file
from convlab.base.project import conf_groups, project_dir
from convlab.data.fetching import sources

FILE, CONFIGS, RESULTS = "pipeline.yaml", "configs", "results"
NOTHING = f"{CONFIGS}/nothing.yaml"  # what a stage depends on in place of what it does without
HEADER = (
    "# What `dvc repro` makes: the list that dvc.yaml reads. `convlab pipeline` writes it from conf/, where\n"
    "# an experiment that names a `report` takes part.\n"
)
PACKAGE_CODE = "src/convlab/models"  # in a checkout of convlab; elsewhere its version stands for its code


@dataclass(frozen=True)
class Experiment:
    """An experiment that takes part: its report, whether it is drawn, and what it composes."""

    name: str
    report: str
    is_shown: bool
    settings: dict[str, Any]

    @property
    def data(self) -> dict[str, Any]:
        return dict(self.settings["data"])

    @property
    def backbone(self) -> dict[str, Any]:
        return dict(self.settings["backbone"])

    @property
    def reads_vectors(self) -> bool:
        """Whether it trains on the vectors of a backbone, so that the stage `features` comes first."""
        return str(self.data["module"]["dir"]) == f"features/{self.data['name']}/{self.backbone['name']}"

    @property
    def vectors(self) -> str:
        return f"{self.data['name']}_{self.backbone['name']}"

    @property
    def code(self) -> str:
        """What of the code decides its result: the user's own file, or convlab's networks."""
        default = PACKAGE_CODE if (project_dir() / PACKAGE_CODE).is_dir() else f"{CONFIGS}/convlab.yaml"
        return own_code.place(self.settings) or default


def experiments(more: Iterable[str] = ()) -> list[Experiment]:
    """Those that take part, in alphabetical order.

    That is each experiment of the project's own conf/ with a report, and of convlab's those that
    pipeline.yaml lists already, or whose report `more` names. In its repository all are the project's own.
    """
    kept = found().get("experiments") or {}
    taking_part = []
    for name, file in conf_groups().get("experiment", {}).items():
        said = yaml.safe_load(file.read_text()) or {}  # by itself: what it builds upon does not speak for it
        report = said.get("report")
        own = file.is_relative_to(project_dir())
        if not report or not (own or name in kept or report in more):
            continue
        if not re.fullmatch(r"\w[\w.-]*", str(report)):
            raise ConvlabError(f"{file}: report={report}: expected a name of letters, digits, - _ and dots.")
        settings = config.plain(config.compose("train", [f"experiment={name}"]))
        if settings["name"] != name:
            raise ConvlabError(f"{file}: name={settings['name']}: with a report, it must be {name}.")
        taking_part.append(Experiment(name, str(report), bool(said.get("visualize")), settings))
    return taking_part


def listed(taking_part: list[Experiment]) -> dict[str, Any]:
    """What pipeline.yaml should hold. Raises ConvlabError for experiments that don't go together."""
    fetched = {name: sources.load(name) for name in sources.names()}
    folders = {dataset.dir.relative_to(project_dir()).as_posix(): name for name, dataset in fetched.items()}
    needed: set[str] = set()
    features: dict[str, dict[str, str]] = {}
    trained: dict[str, dict[str, str]] = {}
    for each in taking_part:
        photos, weights = str(each.data.get("dir")), each.backbone.get("weights")
        needed |= {folders[place] for place in (photos, _parent(weights)) if place in folders}
        if each.reads_vectors:
            features[each.vectors] = {
                "photos": photos,
                "weights": str(weights) if weights else NOTHING,
                "out": str(each.data["module"]["dir"]),
            }
        trained[each.name] = {
            "input": str(each.data["module"]["dir"]),
            "weights": str(weights) if weights and not each.reads_vectors else NOTHING,
            "code": each.code,
            "report": each.report,
        }
    _check_vectors(taking_part)
    reports: dict[str, list[str]] = {}
    for name, entry in trained.items():
        reports.setdefault(entry["report"], []).append(name)
    outs = sorted((name, place) for place, name in folders.items() if name in needed)
    return {
        "fetch": {name: {"out": place} for name, place in outs},
        "features": dict(sorted(features.items())),
        "experiments": trained,
        "visualized": {each.name: dict(trained[each.name]) for each in taking_part if each.is_shown},
        "reports": {name: {"runs": " ".join(runs)} for name, runs in sorted(reports.items())},
    }


def write_list(more: Iterable[str] = ()) -> bool:
    """Write pipeline.yaml; returns whether it had to change. Results of what no longer takes part go.

    more: reports of convlab's own experiments that a project takes over.
    """
    taking_part = experiments(more)
    if absent := set(more) - {each.report for each in taking_part}:
        raise ConvlabError(f"no experiment takes part in a report '{min(absent)}'.")
    content = listed(taking_part)
    text = (HEADER + yaml.safe_dump(content, sort_keys=False)).encode()
    path = project_dir() / FILE
    changed = not path.is_file() or path.read_bytes() != text
    if changed:
        with atomic_file(path) as file:
            file.write(text)
    for folder in (project_dir() / RESULTS).glob("*/*"):
        if content["experiments"].get(folder.name, {}).get("report") != folder.parent.name:
            shutil.rmtree(folder)
    return changed


def vectors(each: Experiment) -> dict[str, Any]:
    """What `convlab features` needs: the photos, their split, and the backbone."""
    photos = {key: each.data.get(key) for key in ("name", "dir", "split")}
    backbone = {key: value for key, value in each.backbone.items() if key != "dir"}
    return {"data": photos, "backbone": backbone}


def _check_vectors(taking_part: list[Experiment]) -> None:
    first: dict[str, Experiment] = {}
    for each in taking_part:
        if each.reads_vectors and vectors(each) != vectors(first.setdefault(each.vectors, each)):
            raise ConvlabError(
                f"{first[each.vectors].name} and {each.name} make {each.data['module']['dir']} from "
                "other photos, splits or backbones: give one of them a data.name of its own."
            )


def found() -> dict[str, Any]:
    path = project_dir() / FILE
    return dict(yaml.safe_load(path.read_text()) or {}) if path.is_file() else {}


def _parent(path: Any) -> str:
    return Path(str(path)).parent.as_posix() if path else ""
