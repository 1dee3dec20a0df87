"""Turn a folder of photos into cached bottleneck vectors.

usage: convlab features [data=<photo set>] [backbone=<backbone>] [key=value ...]
       convlab features experiment=<experiment>          the photos and the backbone of an experiment
       convlab features from=<file>                      those of a file of configs/features/, for dvc.yaml

A backbone (a network trained on a million other photos) describes each photo by a vector; small
classifiers are then trained on the vectors in seconds. Computing the vectors is the slow part, so
each is computed once: they are cached by the content of the photo's file, the backbone's weights
and the preprocessing. Run it again whenever photos come or change: only what is new is computed.
It can be stopped at any moment; the same command resumes. Files whose inode, size and
time stamps show that nothing can have changed are not read again; reread=true reads every one.

Photos are expected as <data.dir>/<class>/<photo>.jpg (or png, bmp, gif, webp, tiff), two classes at
least. Which split a photo falls into is decided by its content, so moving or renaming one moves none;
data=photos, for your own, also gives every class its share. Photos that come divided,
<data.dir>/train/<class>/... beside val/ and test/ in any usual spelling, stay so. A photo that can't be
read is reported and skipped.

backbone.runtime says what computes: auto, torch, compile, onnxruntime or openvino. The vectors are the same.

writes features/<data>/<backbone>/
  vectors.npy      float32 n d, one row per photo
  index.csv        content hash, path, class, label and split of each row
  unreadable.csv   the photos that were skipped, and why
  meta.json        classes, counts, preprocessing, the backbone and its weights' hash
and the cache below .convlab/bottlenecks/ (CONVLAB_STATE moves .convlab), or where CONVLAB_CACHE says: a
folder, or an object store that many machines fill at once. `convlab cache` shows what it holds.

engine=ray computes on a Ray cluster, whose nodes share the photos: docs/how-to/cluster.md.

examples
  convlab features data=flowers backbone=inception_v3
  convlab features data=patches backbone=resnet18_random     no download: random weights
  convlab features data=photos data.dir=my/birds             your own: features/birds/
  convlab features data=flowers data.split.test=0.3          a larger test split
  convlab features data=flowers data.dir=new/flowers replace=true    other photos in place of the former
  CONVLAB_CACHE=s3://team/vectors convlab features engine=ray engine.address=head:6379
  convlab features data=flowers reread=true                  after a disk failure: trust no time stamp
"""

from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from convlab.base import overriding
from convlab.base.config import compose
from convlab.base.console import console, warn
from convlab.base.errors import ConvlabError
from convlab.data.photo_warnings import tell_unused
from convlab.data.splits import SPLITS
from convlab.features.photo_features import PhotoFeatures, compute


def run(args: list[str]) -> int:
    """Features of one photo folder by one backbone; returns the exit status."""
    settings: dict[str, Any] = OmegaConf.to_container(_composed(args))  # type: ignore[assignment]
    _tell(compute(settings, warn))
    return 0


def _composed(args: list[str]) -> DictConfig:
    """What the words compose; photos and backbone may be an experiment's, or those of a file of configs/."""
    own, words = overriding.own_words(args, ("experiment", "from"))
    if not own:
        return compose("features", args)
    if "from" in own:
        given = OmegaConf.load(own["from"])
    else:
        kept = [
            word for word in words if word.partition("=")[0] in ("dir", "batch_size", "reread", "replace")
        ]
        given = compose("train", [f"experiment={own['experiment']}", *(set(words) - set(kept))])
        words = kept
    if not given.data.get("split"):
        raise ConvlabError(f"{args[0]}: its data, {given.data.name}, is not a photo folder.")
    config = compose("features", words)
    with open_dict(config):
        config.data, config.backbone = given.data, given.backbone
        if not any(word.startswith("dir=") for word in words):
            config.dir = f"features/{given.data.name}/{given.backbone.name}"
    return config


def _tell(made: PhotoFeatures) -> None:
    for message in made.messages():
        warn(message)
    tell_unused(made.unreadable, made.unreadable_file)
    work = made.extraction
    speed = f", {work.computed / work.seconds:.1f} images/s" if work.computed else ""
    splits = ", ".join(f"{split} {sum(row.split == split for row in made.rows):,}" for split in SPLITS)
    console.print(
        f"{len(made.rows):,} photos: reused {work.reused:,}, computed {work.computed:,}, "
        f"failed {len(made.unreadable):,}{speed}\n"
        f"{made.directory}: {'written' if made.changed else 'unchanged'} ({splits})",
        markup=False,
    )
