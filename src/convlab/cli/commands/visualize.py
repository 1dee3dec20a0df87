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
  num_images=1000       look at this many images only
  image=0               whose activations are drawn
  occlusion.images=6    number of classes to take an image of; or a list of indices; 0: none
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

from convlab.base import config, overriding
from convlab.base.errors import ConvlabError
from convlab.base.project import project_dir
from convlab.runs.run import Run

OWN = ("layer", "split", "num_images", "maps", "image", "occlusion", "attribution")  # settings for any run
CHOICE = ("experiment", "name")
PUBLISHED = "convlab.models.vgg.VGG16"  # needs no training


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
    name = composed["name"]
    if composed["model"]["_target_"] == PUBLISHED and not _is_run(name):
        from convlab.explain.visualize import visualize_published

        directory = project_dir() / "runs" / name
        visualize_published(composed, settings, directory)
        return Run(directory)
    found = Run.find(name)
    _refuse_what_the_run_decides(args, found.name)
    from convlab.explain.visualize import visualize_run

    visualize_run(found, settings)
    return found


def _is_run(name: str) -> bool:
    return any((path / "config.yaml").is_file() for path in (project_dir() / "runs" / name, Path(name)))


def _refuse_what_the_run_decides(args: list[str], name: str) -> None:
    for override in overriding.parse(args):
        if override.key_or_group.split(".")[0] not in (*OWN, *CHOICE):
            raise ConvlabError(
                f"{override.input_line}: {name} is shown as it was trained. Free are {', '.join(OWN)}; "
                "another training goes by another name."
            )
