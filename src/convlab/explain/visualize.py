"""Pictures of what a network learned, into its run's `visualize/` and its MLflow record."""

from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import nn

from convlab.base import provenance
from convlab.base.console import console, warn
from convlab.base.files import file_hash
from convlab.base.project import project_dir
from convlab.data.labelled import LabelledData
from convlab.explain.draw import draw
from convlab.explain.layers import check_network
from convlab.explain.pictures import Pictures, log
from convlab.models import vgg
from convlab.runs import run as runs


def visualize_run(run_dir: Path, settings: dict[str, Any]) -> None:
    """Show a trained run: a chain of layers from inside, any other network by attribution.

    settings: of conf/visualize.yaml. Raises ConvlabError for those that don't fit.
    """
    card, network = runs.read_card(run_dir / "model"), runs.load_model(run_dir / "model")
    if len(card["input_shape"]) == 1 or not isinstance(network, nn.Sequential):  # on a backbone, or branched
        from convlab.explain.draw_attribution import draw_attribution  # captum takes its time

        _keep(draw_attribution(run_dir, settings), run_dir)
        return
    config: dict[str, Any] = OmegaConf.to_container(OmegaConf.load(run_dir / "config.yaml"))  # type: ignore[assignment]
    pictures = _of_chain(network, None, config["data"], settings)
    pictures.record["weights"] = card["weights"][card["selected"]]
    _keep(pictures, run_dir)


def visualize_published(composed: dict[str, Any], settings: dict[str, Any], run_dir: Path) -> None:
    """Show VGG16, which needs no training, with the published weights, or random ones with a warning.

    composed: of conf/visualize.yaml, with its `model`, `backbone` and `data`.
    """
    arguments = {key: value for key, value in composed["model"].items() if key != "_target_"}
    backbone = composed["backbone"]
    path = project_dir() / str(backbone["weights"])
    origin: dict[str, Any]
    if backbone["weights"] is not None and path.is_file():
        network, names = vgg.published(path, **arguments), vgg.imagenet_classes()
        origin = {
            "weights": file_hash(path),
            "substitutes": provenance.substitutes(path.parent),
        }
    else:
        seed = backbone["seed"]
        warn(
            f"there are no weights {backbone['weights']}: random ones are shown (seed {seed}), which react "
            "to no object. `convlab fetch vgg16` brings the published ones."
        )
        network = vgg.seeded(seed, **arguments)
        names = [f"output {index}" for index in range(network.fc8.out_features)]
        origin = {"weights": f"random, seed {seed}"}
    pictures = _of_chain(network, names, composed["data"], settings)
    pictures.record |= origin
    _keep(pictures, run_dir)


def _of_chain(
    network: nn.Module, class_names: list[str] | None, data_settings: dict[str, Any], settings: dict[str, Any]
) -> Pictures:
    check_network(network)  # before photos are read
    data: LabelledData = instantiate(data_settings["module"], _convert_="all")
    pictures = draw(network, data, settings, class_names or data.classes)
    pictures.record["data"] = data_settings["name"]
    return pictures


def _keep(pictures: Pictures, run_dir: Path) -> None:
    directory = run_dir / "visualize"
    pictures.write(directory)
    log(run_dir, directory)
    console.print(f"{directory}: {', '.join(pictures.figures)}", markup=False)
