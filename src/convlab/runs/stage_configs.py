"""`configs/`: each stage's settings in a file of its own, so that DVC reruns a stage only if they change.

configs/
  fetch/<name>.yaml       what is fetched, from where
  features/<key>.yaml     photo folder, split, backbone, preprocessing
  train/<experiment>.yaml what decides a training's result, and nothing else
  visualize/<experiment>.yaml
  convlab.yaml            the version that trains
  nothing.yaml            in place of a file that an experiment does without
"""

import shutil
from pathlib import Path
from typing import Any

import yaml

from convlab import __version__
from convlab.base import config
from convlab.base.errors import ConvlabError
from convlab.base.files import atomic_file
from convlab.base.project import project_dir
from convlab.data.fetching import sources
from convlab.runs.pipeline import CONFIGS, FILE, NOTHING, experiments, found, listed, vectors

SHOWN = ("layer", "split", "num_images", "maps", "image", "occlusion", "attribution")


def write() -> int:
    """Write configs/: each stage's settings, resolved, and nothing that does not decide its result.

    Returns how many experiments take part. Raises ConvlabError unless pipeline.yaml holds what conf/ says.
    """
    taking_part = experiments()
    content = listed(taking_part)
    if found() != content:
        raise ConvlabError(f"{FILE} is not what conf/ says: run `convlab pipeline`, then `dvc repro` again.")
    folder = project_dir() / CONFIGS
    shutil.rmtree(folder, ignore_errors=True)
    _write(folder / "convlab.yaml", {"version": __version__})
    _write(project_dir() / NOTHING, {})
    for name in content["fetch"]:
        dataset = sources.load(name)
        _write(folder / "fetch" / f"{name}.yaml", {"sources": [vars(source) for source in dataset.sources]})
    for each in taking_part:
        data, backbone = each.data, each.backbone
        if each.reads_vectors:
            _write(folder / "features" / f"{each.vectors}.yaml", vectors(each))
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


def _write(path: Path, content: dict[str, Any]) -> None:
    with atomic_file(path) as file:
        file.write(yaml.safe_dump(content, sort_keys=True).encode())
