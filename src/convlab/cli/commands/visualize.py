"""Look inside a network: what its maps react to, in pixels, after Zeiler and Fergus (2014).

usage: convlab visualize [experiment=NAME] [layer=NAME|all] [key=value ...] [digest=FILE]

Takes the trained run of an experiment (name=RUN takes another run) and writes runs/<name>/visualize/:

  top9_<layer>.png    for each feature map its nine strongest activations over a data split, at most one an
                      image, projected back to pixels by the deconvolutional network, beside the patches
                      of the images that caused them. Maps without a positive activation are left out.
  filters_<conv>.png  the filters that read pixels
  activations.png     one image through all layers
  occlusion.png       the probability of the true class, as a square covers one part of the image after
                      the other
  visualize.json      what is shown: maps, images, activations, boxes; equal runs make equal files

and adds the pictures to the run's MLflow record. Each call replaces what the last one wrote. What
belongs to the network is read from the run; these settings, of conf/visualize.yaml, are free:

  layer=pool2           one layer's strongest activations; all: each layer down to the first that has no way
                        back (convolution, ReLU, pooling and dropout have one)
  maps=16               of more maps, those with the strongest activations; or maps=[0,5,12], or maps=all
  split=val             where the images come from: train, val or test
  num_images=1000       look at so many images only
  image=0               whose activations are drawn
  occlusion.images=6    the first image of so many classes; or a list of indices; 0: no occlusion
  occlusion.size=7  occlusion.stride=2      the square's side and step in pixels

A network on a backbone (experiment=linear_head) has no chain of layers to go back through. Of it,
attribution.png shows which pixels decided: Grad-CAM, guided Grad-CAM and integrated gradients, for the worst
mistake and attribution.images=4 photos, with attribution.steps=64.

digest=FILE writes the hashes of the pictures to FILE: a stage of dvc.yaml asks for it.

experiment=vgg16 needs no training: it takes the published weights of `convlab fetch vgg16`, or random ones
with a warning. There any setting can be changed, data= and data.dir= for one. It takes many minutes;
maps=9 num_images=100 occlusion.images=2 makes a few of them.

examples:
  convlab visualize experiment=lenet layer=all
  convlab visualize experiment=lenet layer=conv2 maps=[3,17] split=test
  convlab visualize name=sweeps/2026-01-31_12-00-00/lenet_seed-2
  convlab visualize experiment=vgg16 data.dir=photos maps=9 num_images=100 occlusion.images=2
"""

from pathlib import Path
from typing import Any

from convlab.base import config, overriding, provenance
from convlab.base.console import console, warn
from convlab.base.errors import ConvlabError
from convlab.base.project import project_dir
from convlab.runs.model_file import ModelFile
from convlab.runs.run import Run

OWN = ("layer", "split", "num_images", "maps", "image", "occlusion", "attribution")  # settings for any run
CHOICE = ("experiment", "name")


def run(args: list[str]) -> int:
    """Draw; returns the exit status."""
    own, args = overriding.own_words(args, ("digest",))
    drawn = _run(args)
    if "digest" in own:
        from convlab.runs import digest

        digest.write(drawn, (drawn.directory / "visualize").iterdir(), Path(own["digest"]))
    return 0


def _run(args: list[str]) -> Run:
    composed = config.plain(config.compose("visualize", args))
    settings = {key: composed[key] for key in OWN if key in composed}
    if not _is_run(composed["name"]) and (published := _published(composed)):
        directory = project_dir() / "runs" / composed["name"]
        _draw(*published, composed["data"], settings, directory)
        return Run(directory)
    found = Run.find(composed["name"])
    _refuse_what_the_run_decides(args, found.name)
    from convlab.models import saved

    model, network = found.model_file, saved.load(found.model_dir)
    if _has_a_backbone(model, network):
        from convlab.explain.attribution import visualize_attribution

        visualize_attribution(found, settings)
        return found
    _draw(network, {"weights": model.weights_hash}, None, found.config["data"], settings, found.directory)
    return found


def _draw(
    network: Any,
    origin: dict[str, Any],
    class_names: list[str] | None,
    data_settings: dict[str, Any],
    settings: dict[str, Any],
    run_dir: Path,
) -> None:
    from convlab.base.parts import instantiate
    from convlab.explain.draw import draw
    from convlab.explain.layers import check_network
    from convlab.explain.pictures import log

    check_network(network)  # before photos are read
    data = instantiate(data_settings["module"], "data.module")
    pictures = draw(network, data, settings, class_names or data.classes)
    pictures.record |= {"data": data_settings["name"], **origin}
    directory = run_dir / "visualize"
    pictures.write(directory)
    log(Run(run_dir), directory)
    console.print(f"{directory}: {', '.join(pictures.figures)}", markup=False)


def _is_run(name: str) -> bool:
    return any((path / "config.yaml").is_file() for path in (project_dir() / "runs" / name, Path(name)))


def _published(composed: dict[str, Any]) -> tuple[Any, dict[str, Any], list[str]] | None:
    """A network that needs no training, where its weights come from, and its classes; None for any other."""
    if composed["model"]["_target_"] != "convlab.models.vgg.VGG16":
        return None
    from convlab.models import vgg

    arguments = {key: value for key, value in composed["model"].items() if key != "_target_"}
    backbone = composed["backbone"]
    path = project_dir() / str(backbone["weights"])
    if backbone["weights"] is not None and path.is_file():
        origin = {
            "weights": provenance.file_hash(path),
            "substitutes": provenance.substitutes(path.parent),
        }
        return vgg.published(path, **arguments), origin, vgg.imagenet_classes()
    seed = backbone["seed"]
    warn(
        f"there are no weights {backbone['weights']}: random ones are shown (seed {seed}), which react to no "
        "object. `convlab fetch vgg16` brings the published ones."
    )
    network = vgg.seeded(seed, **arguments)
    names = [f"output {index}" for index in range(network.fc8.out_features)]
    return network, {"weights": f"random, seed {seed}"}, names


def _refuse_what_the_run_decides(args: list[str], name: str) -> None:
    for override in overriding.parse(args):
        if override.key_or_group.split(".")[0] not in (*OWN, *CHOICE):
            raise ConvlabError(
                f"{override.input_line}: {name} is shown as it was trained. Free are {', '.join(OWN)}; "
                "another training goes by another name."
            )


def _has_a_backbone(model: ModelFile, network: Any) -> bool:
    """Whether it classifies a backbone's vectors, or is more than a chain of layers."""
    from torch import nn

    return model.takes_vectors or not isinstance(network, nn.Sequential)
