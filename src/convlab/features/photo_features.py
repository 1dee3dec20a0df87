"""The stage `features`: a photo folder, described by a backbone, as files below `features/`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convlab.base import provenance
from convlab.base.errors import ConvlabError
from convlab.base.files import clear_partials
from convlab.base.object_store import is_address
from convlab.base.project import cache_place, project_dir
from convlab.data import photo_warnings
from convlab.data.index import Row, data_hash, index
from convlab.data.looks import Leak, leak
from convlab.data.photos import PhotoFolder, scan
from convlab.data.preprocessing import Preprocessing
from convlab.data.splits import SPLITS, assign
from convlab.data.store_folder import StoreFolder, StoreHashes, photo_root
from convlab.features.backbone import Backbone
from convlab.features.cache import BottleneckCache
from convlab.features.content_hashes import ContentHashes
from convlab.features.extract import Extraction, extract
from convlab.features.feature_set import keep_other, write_feature_set
from convlab.features.outdated import hashes_file
from convlab.features.runtimes.choice import make_runtime
from convlab.features.runtimes.work import Work

if TYPE_CHECKING:
    from convlab.features.shared.cache import SharedCache


@dataclass(frozen=True)
class PhotoFeatures:
    """What the stage found and did.

    directory: below the project. unreadable: path -> why. changed: whether `directory` had to be written.
    meta: what its meta.json says, less the hashes of files.
    """

    directory: str
    folder: PhotoFolder
    rows: Sequence[Row]
    unreadable: dict[str, str]
    extraction: Extraction
    changed: bool
    leaked: Leak | None
    meta: dict[str, Any]

    @property
    def unreadable_file(self) -> str:
        return f"{self.directory}/unreadable.csv"

    def messages(self) -> list[str]:
        """What decoding and dividing told."""
        done = self.extraction
        return photo_warnings.after_reading(self.folder, done.failed, done.doubtful, self.rows, self.leaked)


def compute(settings: dict[str, Any], tell: Callable[[str], None]) -> PhotoFeatures:
    """Bring `features/<data>/<backbone>/` up to date; only what the cache lacks is computed.

    Raises ConvlabError for settings that are no photo folder's, for one that can't be used, and rather than
    replace the vectors of another.

    Args:
        settings: what conf/features.yaml composes.
        tell: is told what the owner of the folder should know before hours of work.
    """
    data, chosen = settings["data"], settings["backbone"]
    if "split" not in data:
        raise ConvlabError(f"data={data['name']} is not a photo folder: its configuration has no `split`.")
    if "architecture" not in chosen:
        raise ConvlabError(f"backbone={chosen['name']} is not a network: it has no `architecture`.")
    assign((), data["split"])  # wrong ones are told of before hours of work
    preprocessing = Preprocessing.from_dict(chosen["preprocessing"])
    backbone = _backbone(chosen)
    remembered = hashes_file(data["name"], chosen["name"])
    if not settings["replace"]:
        keep_other(project_dir(), settings["dir"], data["dir"])
    hashes = ContentHashes(remembered, reread=settings["reread"])
    root = photo_root(data["dir"], project_dir())
    stored = None
    if isinstance(root, StoreFolder):
        stored = StoreHashes(remembered.with_name("store_hashes"), root, settings["reread"])
    folder = scan(root, stored.of if stored else hashes.of)
    for message in _warnings(settings, backbone, folder):
        tell(message)
    identity = {
        "backbone": backbone.identity(),
        "preprocessing": {**preprocessing.to_dict(), "fingerprint": preprocessing.fingerprint()},
    }
    with _cache(backbone.name, identity, settings["reread"]) as cache:
        done = _extract(folder, preprocessing, backbone, cache, settings)
        rows, unreadable = index(folder, done.failed, data["split"]), folder.unused(done.failed)
        leaked = leak(rows, done.looks)
        meta = _meta(settings, backbone, preprocessing, rows, len(unreadable), folder.divided)
        meta["leak"] = leaked and leaked._asdict()
        directory = project_dir() / settings["dir"]
        changed = write_feature_set(directory, rows, unreadable, meta, cache, hashes)
        clear_partials(remembered.parent)
        hashes.save()
        if stored:
            stored.save()
    return PhotoFeatures(settings["dir"], folder, rows, unreadable, done, changed, leaked, meta)


def _cache(name: str, identity: dict[str, Any], reread: bool) -> "BottleneckCache | SharedCache":
    """In a folder or an object store."""
    place = cache_place()
    if is_address(place):
        from convlab.features.shared.cache import SharedCache

        return SharedCache(place, name, identity)
    return BottleneckCache(Path(place), name, identity, reread)


def _extract(
    folder: PhotoFolder,
    preprocessing: Preprocessing,
    backbone: Backbone,
    cache: "BottleneckCache | SharedCache",
    settings: dict[str, Any],
) -> Extraction:
    """By the engine that the settings name."""
    engine, runtime = settings["engine"], settings["backbone"]["runtime"]
    if engine["name"] == "ray":
        from convlab.features.on_ray import extract_on_ray

        return extract_on_ray(
            folder.root,
            folder.photos,
            preprocessing,
            backbone,
            runtime,
            cache,
            settings["batch_size"],
            engine,
        )
    return extract(
        folder.root,
        folder.photos,
        preprocessing,
        lambda num_images, batch_size: make_runtime(
            runtime, Work(backbone, preprocessing, num_images, batch_size)
        ),
        cache,
        settings["batch_size"],
    )


def _warnings(settings: dict[str, Any], backbone: Backbone, folder: PhotoFolder) -> list[str]:
    found = [f"substitute: {words}" for words in _substitutes(settings)]
    found += photo_warnings.before_reading(folder)
    if backbone.weights is None:
        found.append(f"backbone {backbone.name} has random weights (seed {backbone.seed}), not trained ones")
    return found


def _backbone(chosen: dict[str, Any]) -> Backbone:
    weights = None if chosen["weights"] is None else project_dir() / chosen["weights"]
    return Backbone(chosen["name"], chosen["architecture"], weights, chosen["seed"], chosen["options"])


def _meta(
    settings: dict[str, Any],
    backbone: Backbone,
    preprocessing: Preprocessing,
    rows: list[Row],
    num_unreadable: int,
    divided: bool,
) -> dict[str, Any]:
    data = settings["data"]
    classes = sorted({row.class_name for row in rows})
    counts = {name: dict.fromkeys(SPLITS, 0) for name in classes}
    for row in rows:
        counts[row.class_name][row.split] += 1
    return {
        "data": data["name"],
        "dir": data["dir"],
        "classes": classes,
        "counts": counts,
        "num_photos": {split: sum(each[split] for each in counts.values()) for split in SPLITS},
        "num_unreadable": num_unreadable,
        "split": data["split"] | ({"divided": True} if divided else {}),
        "data_hash": data_hash(rows, divided),
        "preprocessing": preprocessing.to_dict(),
        "backbone": {
            "name": backbone.name,
            "weights": settings["backbone"]["weights"] or f"random, seed {backbone.seed}",
            **backbone.identity(),
        },
        "substitutes": _substitutes(settings),
    }


def _substitutes(settings: dict[str, Any]) -> list[str]:
    """How the fetched photos and weights differ from the published ones, from their `provenance.json`."""
    folders = [project_dir() / settings["data"]["dir"]]
    if settings["backbone"]["weights"] is not None:
        folders.append((project_dir() / settings["backbone"]["weights"]).parent)
    return [words for folder in folders for words in provenance.substitutes(folder)]
