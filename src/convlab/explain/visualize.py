"""Pictures of what a network learned, into its run's `visualize/` and its MLflow record."""

from pathlib import Path
from typing import Any

from torch import nn

from convlab.base import provenance
from convlab.base.console import console, warn
from convlab.base.files import file_hash
from convlab.base.parts import instantiate
from convlab.base.project import project_dir
from convlab.data.labelled import LabelledData
from convlab.explain.draw import draw
from convlab.explain.layers import check_network
from convlab.explain.pictures import Pictures, log
from convlab.models import saved, vgg
from convlab.runs.run import Run


def visualize_run(run: Run, settings: dict[str, Any]) -> None:
    """Show a trained run: a chain of layers from inside, any other network by attribution.

    settings: of conf/visualize.yaml. Raises ConvlabError for those that don't fit.
    """
    model, network = run.model_file, saved.load(run.model_dir)
    if model.takes_vectors or not isinstance(network, nn.Sequential):  # on a backbone, or branched
        from convlab.explain.draw_attribution import draw_attribution  # captum takes its time

        _keep(draw_attribution(run, settings), run)
        return
    pictures = _of_chain(network, None, run.config["data"], settings)
    pictures.record["weights"] = model.weights_hash
    _keep(pictures, run)


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
    _keep(pictures, Run(run_dir))


def _of_chain(
    network: nn.Module, class_names: list[str] | None, data_settings: dict[str, Any], settings: dict[str, Any]
) -> Pictures:
    check_network(network)  # before photos are read
    data: LabelledData = instantiate(data_settings["module"], "data.module")
    pictures = draw(network, data, settings, class_names or data.classes)
    pictures.record["data"] = data_settings["name"]
    return pictures


def _keep(pictures: Pictures, run: Run) -> None:
    directory = run.directory / "visualize"
    pictures.write(directory)
    log(run, directory)
    console.print(f"{directory}: {', '.join(pictures.figures)}", markup=False)
