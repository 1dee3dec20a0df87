"""What `dvc repro` makes, derived from conf/: `pipeline.yaml`, the list that dvc.yaml reads, and `configs/`.

An experiment is part of the pipeline if its file names a `report`. All else follows from what it composes:
which data and weights are fetched, which photos become vectors, what each stage depends on.

configs/
  fetch/<name>.yaml       what is fetched, from where
  features/<key>.yaml     photo folder, split, backbone, preprocessing
  train/<experiment>.yaml what decides a training's result, and nothing else
  visualize/<experiment>.yaml
  weights/<backbone>.yaml of a backbone with seeded random weights, what makes them
  convlab.yaml            the version that trains
"""

import shutil
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

import yaml

from convlab import __version__
from convlab.base import config, own_code
from convlab.base.errors import ConvlabError
from convlab.base.files import atomic_file
from convlab.base.project import project_dir
from convlab.data.fetching import sources

FILE, CONFIGS, RESULTS = "pipeline.yaml", "configs", "results"
HEADER = (
    "# What `dvc repro` makes: the list that dvc.yaml reads. `convlab pipeline` writes it from conf/, where\n"
    "# an experiment that names a `report` takes part.\n"
)
PACKAGE_CODE = "src/convlab/models"  # in a checkout of convlab; elsewhere its version stands for its code
SHOWN = ("layer", "split", "num_images", "maps", "image", "occlusion", "attribution")


@dataclass(frozen=True)
class Experiment:
    """An experiment with a report, and what it composes."""

    name: str
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

    @property
    def is_shown(self) -> bool:
        """Whether the stage `visualize` draws it: as it says, or else where there are layers to look into."""
        chosen = self.settings.get("visualize")
        return bool(chosen) if chosen is not None else False


def experiments() -> list[Experiment]:
    """Those of conf/experiment/ that name a report, in alphabetical order."""
    found = []
    for name in config.groups().get("experiment", []):
        settings = config.plain(config.compose("train", [f"experiment={name}"]))
        if settings.get("report"):
            if settings["name"] != name:
                raise ConvlabError(
                    f"conf/experiment/{name}.yaml: name={settings['name']}: with a report, it must be {name}."
                )
            found.append(Experiment(name, settings))
    return found


def listed(taking_part: list[Experiment]) -> dict[str, Any]:
    """What pipeline.yaml should hold."""
    fetched = {name: sources.load(name) for name in sources.names()}
    folders = {dataset.dir.relative_to(project_dir()).as_posix(): name for name, dataset in fetched.items()}
    needed: set[str] = set()
    features: dict[str, dict[str, str]] = {}
    trained: dict[str, dict[str, str]] = {}
    for each in taking_part:
        photos = str(each.data.get("dir"))
        weights = each.backbone.get("weights")
        needed |= {folders[place] for place in (photos, _parent(weights)) if place in folders}
        if each.reads_vectors and each.vectors not in features:
            random = f"{CONFIGS}/weights/{each.backbone['name']}.yaml"
            features[each.vectors] = {
                "experiment": each.name,
                "photos": photos,
                "weights": str(weights) if weights else random,
                "out": str(each.data["module"]["dir"]),
            }
        trained[each.name] = {
            "input": str(each.data["module"]["dir"]),
            "code": each.code,
            "report": str(each.settings["report"]),
        }
    reports: dict[str, list[str]] = {}
    for name, entry in trained.items():
        reports.setdefault(entry["report"], []).append(name)
    return {
        "fetch": {
            name: {"out": place}
            for place, name in sorted(folders.items(), key=itemgetter(1))
            if name in needed
        },
        "features": features,
        "experiments": trained,
        "visualized": {each.name: dict(trained[each.name]) for each in taking_part if each.is_shown},
        "reports": {name: {"runs": " ".join(runs)} for name, runs in sorted(reports.items())},
    }


def write_list() -> bool:
    """Write pipeline.yaml; returns whether it had to change. Results of what no longer takes part go."""
    content = listed(experiments())
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


def write_configs() -> int:
    """Write configs/: each stage's settings, resolved, and nothing that does not decide its result.

    Returns how many experiments take part. Raises ConvlabError unless pipeline.yaml holds what conf/ says.
    """
    taking_part, path = experiments(), project_dir() / FILE
    content = listed(taking_part)
    if not path.is_file() or yaml.safe_load(path.read_text()) != content:
        raise ConvlabError(f"{FILE} is not what conf/ says: run `convlab pipeline`, then `dvc repro` again.")
    folder = project_dir() / CONFIGS
    shutil.rmtree(folder, ignore_errors=True)
    _write(folder / "convlab.yaml", {"version": __version__})
    for name in content["fetch"]:
        dataset = sources.load(name)
        _write(folder / "fetch" / f"{name}.yaml", {"sources": [vars(source) for source in dataset.sources]})
    for each in taking_part:
        data, backbone = each.data, each.backbone
        if each.reads_vectors:
            photos = {key: data.get(key) for key in ("name", "dir", "split")}
            _write(
                folder / "features" / f"{each.vectors}.yaml",
                {"data": photos, "backbone": _described(backbone)},
            )
            if backbone.get("weights") is None:
                made = {key: backbone.get(key) for key in ("architecture", "options", "seed")}
                _write(folder / "weights" / f"{backbone['name']}.yaml", made)
        decisive = config.lasting(each.settings)
        decisive["data"] = {key: data[key] for key in ("name", "dir", "module") if key in data}
        decisive["backbone"] = {
            key: value for key, value in backbone.items() if key not in ("runtime", "dir")
        }
        _write(folder / "train" / f"{each.name}.yaml", decisive)
        if each.is_shown:
            shown = config.plain(config.compose("visualize", [f"experiment={each.name}"]))
            _write(folder / "visualize" / f"{each.name}.yaml", {key: shown[key] for key in SHOWN})
    return len(taking_part)


def _described(backbone: dict[str, Any]) -> dict[str, Any]:
    """What decides a backbone's vectors: not where it is fetched to, nor by what they are computed."""
    return {key: value for key, value in backbone.items() if key not in ("runtime", "dir")}


def _parent(path: Any) -> str:
    return Path(str(path)).parent.as_posix() if path else ""


def _write(path: Path, content: dict[str, Any]) -> None:
    with atomic_file(path) as file:
        file.write(yaml.safe_dump(content, sort_keys=True).encode())
