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
and the cache below .convlab/bottlenecks/ (CONVLAB_STATE moves .convlab).

examples
  convlab features data=flowers backbone=inception_v3
  convlab features data=patches backbone=resnet18_random     no download: random weights
  convlab features data=photos data.dir=my/birds             your own: features/birds/
  convlab features data=flowers data.split.test=0.3          a larger test split
  convlab features data=flowers data.dir=new/flowers replace=true    other photos in place of the former
  convlab features data=flowers reread=true                  after a disk failure: trust no time stamp
"""

from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from convlab.base import overriding, provenance
from convlab.base.config import compose
from convlab.base.console import console, warn
from convlab.base.errors import ConvlabError
from convlab.base.files import clear_partials
from convlab.base.project import project_dir, state_dir
from convlab.data import photo_warnings
from convlab.data.index import Row, data_hash, index
from convlab.data.looks import Leak, leak
from convlab.data.photo_warnings import tell_unused
from convlab.data.photos import PhotoFolder, scan
from convlab.data.preprocessing import Preprocessing
from convlab.data.splits import SPLITS, assign
from convlab.features.backbone import Backbone
from convlab.features.cache import BottleneckCache
from convlab.features.content_hashes import ContentHashes
from convlab.features.extract import Extraction, extract
from convlab.features.feature_set import keep_other, write_feature_set
from convlab.features.outdated import hashes_file
from convlab.features.runtimes.choice import make_runtime
from convlab.features.runtimes.work import Work


def run(args: list[str]) -> int:
    """Features of one photo folder by one backbone; returns the exit status."""
    config = _composed(args)
    if "split" not in config.data:
        raise ConvlabError(
            f"data={config.data.name} is not a photo folder: its configuration has no `split`."
        )
    if "architecture" not in config.backbone:
        raise ConvlabError(f"backbone={config.backbone.name} is not a network: it has no `architecture`.")
    shares = _plain(config.data.split)
    assign((), shares)  # wrong ones are told of before hours of work
    preprocessing = Preprocessing.from_dict(_plain(config.backbone.preprocessing))
    backbone = _backbone(config.backbone)
    remembered = hashes_file(config.data.name, config.backbone.name)
    if not config.replace:
        keep_other(project_dir(), config.dir, config.data.dir)
    hashes = ContentHashes(remembered, reread=config.reread)
    folder = scan(project_dir() / config.data.dir, hashes.of)
    for message in _warnings(config, backbone, folder):
        warn(message)
    identity = {
        "backbone": backbone.identity(),
        "preprocessing": {**preprocessing.to_dict(), "fingerprint": preprocessing.fingerprint()},
    }
    with BottleneckCache(state_dir() / "bottlenecks", backbone.name, identity, config.reread) as cache:
        report = extract(
            folder.root,
            folder.photos,
            preprocessing,
            lambda num_images, batch_size: make_runtime(
                config.backbone.runtime, Work(backbone, preprocessing, num_images, batch_size)
            ),
            cache,
            config.batch_size,
        )
        rows, unreadable = index(folder, report.failed, shares), folder.unused(report.failed)
        leaked = leak(rows, report.looks)
        meta = _meta(config, backbone, preprocessing, rows, len(unreadable), folder.divided)
        meta["leak"] = leaked and leaked._asdict()
        changed = write_feature_set(project_dir() / config.dir, rows, unreadable, meta, cache, hashes)
        clear_partials(remembered.parent)
        hashes.save()
    _tell(config.dir, folder, rows, unreadable, report, changed, leaked)
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


def _warnings(config: DictConfig, backbone: Backbone, folder: PhotoFolder) -> list[str]:
    found = [f"substitute: {words}" for words in _substitutes(config)] + photo_warnings.before_reading(folder)
    if backbone.weights is None:
        found.append(f"backbone {backbone.name} has random weights (seed {backbone.seed}), not trained ones")
    return found


def _tell(
    where: str,
    folder: PhotoFolder,
    rows: list[Row],
    unreadable: dict[str, str],
    report: Extraction,
    changed: bool,
    leaked: Leak | None,
) -> None:
    for message in photo_warnings.after_reading(folder, report.failed, report.doubtful, rows, leaked):
        warn(message)
    tell_unused(unreadable, f"{where}/unreadable.csv")
    speed = f", {report.computed / report.seconds:.1f} images/s" if report.computed else ""
    splits = ", ".join(f"{split} {sum(row.split == split for row in rows):,}" for split in SPLITS)
    console.print(
        f"{len(rows):,} photos: reused {report.reused:,}, computed {report.computed:,}, "
        f"failed {len(unreadable):,}{speed}\n"
        f"{where}: {'written' if changed else 'unchanged'} ({splits})",
        markup=False,
    )


def _plain(config: DictConfig) -> dict[str, Any]:
    return dict(OmegaConf.to_container(config))  # type: ignore[arg-type]


def _backbone(config: DictConfig) -> Backbone:
    weights = None if config.weights is None else project_dir() / config.weights
    return Backbone(config.name, config.architecture, weights, config.seed, _plain(config.options))


def _meta(
    config: DictConfig,
    backbone: Backbone,
    preprocessing: Preprocessing,
    rows: list[Row],
    num_unreadable: int,
    divided: bool,
) -> dict[str, Any]:
    classes = sorted({row.class_name for row in rows})
    counts = {name: dict.fromkeys(SPLITS, 0) for name in classes}
    for row in rows:
        counts[row.class_name][row.split] += 1
    return {
        "data": config.data.name,
        "dir": config.data.dir,
        "classes": classes,
        "counts": counts,
        "num_photos": {split: sum(each[split] for each in counts.values()) for split in SPLITS},
        "num_unreadable": num_unreadable,
        "split": _plain(config.data.split) | ({"divided": True} if divided else {}),
        "data_hash": data_hash(rows, divided),
        "preprocessing": preprocessing.to_dict(),
        "backbone": {
            "name": backbone.name,
            "weights": config.backbone.weights or f"random, seed {backbone.seed}",
            **backbone.identity(),
        },
        "substitutes": _substitutes(config),
    }


def _substitutes(config: DictConfig) -> list[str]:
    """How the fetched photos and weights differ from the published ones, from their `provenance.json`."""
    folders = [project_dir() / config.data.dir]
    if config.backbone.weights is not None:
        folders.append((project_dir() / config.backbone.weights).parent)
    return [words for folder in folders for words in provenance.substitutes(folder)]
