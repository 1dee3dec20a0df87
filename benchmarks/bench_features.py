"""From JPEG files to cached Inception-v3 vectors, and how soon a second training has them.

usage: .venv/bin/python benchmarks/bench_features.py [--images 192] [--repeat 3] [--steps 100]

Extraction: flower photos of datasets/flowers, evenly drawn (beyond their number: copies encoded again),
weights of weights/inception_v3, batches of 32 (on a GPU 128; the peer's 32). Timed from the first file opened
to the last vector on disk (read, hash, decode, compute, cache, sync). The models are built and warm; what a
runtime takes to start (the first one exports the model) is a figure of its own.
  peer: peers/timm_dataloader.py, vectors to memory only, on half as many photos.
  forward alone: each runtime on the same pixels, already in memory, no file read or written.
  decoding alone: the same photos read, hashed and decoded, nothing computed.
On a GPU the runtimes are torch and compile, both extract, the peer's model is on the GPU too, and the result
is a section of its own, without the second training: there --images 2048 is about right.

A second training: all is cached, nothing changed. Timed is what the training waits for its inputs: from the
start to the last of 4,000 batches of 100 vectors in memory (retrain.py's defaults), on the same photos.
  convlab: the whole of `convlab features`, then 400,000 vectors in batches from the memory-mapped file.
  peer: peers/retrain_one_by_one.py, a text file a vector. Its pass over all files and `--steps` of its
    batches are timed; the latter count for 4,000, since each does the same.
  Neither side's program start or training is in it. Beside it, without a goal: the two commands of the
  second training as a user gives them, program starts and training (linear_head's 40 epochs) included.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from peers import retrain_one_by_one, timm_dataloader
from PIL import Image
from record import Figure, record

from convlab.base.config import compose, plain
from convlab.base.console import console
from convlab.base.errors import ConvlabError
from convlab.base.files import file_hash
from convlab.data.decoding import Decoding
from convlab.data.photos import Photo
from convlab.data.preprocessing import Preprocessing
from convlab.features.backbone import Backbone
from convlab.features.cache import BottleneckCache
from convlab.features.extract import CPU_BATCH, GPU_BATCH, extract
from convlab.features.runtimes.choice import installed, make_runtime
from convlab.features.runtimes.work import Work

PROJECT = Path(__file__).resolve().parents[1]
SETTINGS = ["data=flowers", "data.dir=photos", "dir=features"]


def main() -> None:
    import torch

    on_gpu = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=192)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--steps", type=int, default=100, help="of the peer's 4,000 that are timed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        paths = make_project(project, options.images)
        os.environ |= {"CONVLAB_PROJECT": folder, "CONVLAB_STATE": str(project / "state")}
        figures = extraction(project, paths, options.repeat)
        if not on_gpu:
            figures += second_training(project, options.repeat, options.steps)
    record(
        "bench_features_gpu" if on_gpu else "bench_features",
        f"Inception-v3 vectors of {len(paths):,} JPEG files" + on_gpu * ", on a GPU",
        figures,
        peer=f"timm eager behind a torch DataLoader, {timm_dataloader.NUM_WORKERS} workers"
        + (not on_gpu) * "; retrain.py's text files",
        warm_up="each model computes a batch first; the files are in the page cache",
        repetitions=f"{options.repeat}, in turn",
    )


def make_project(project: Path, num_images: int) -> list[Path]:
    """A project of `num_images` flowers, conf/ and weights; returns the photos."""
    found = sorted((PROJECT / "datasets/flowers").glob("*/*.jpg"))
    weights = PROJECT / "weights/inception_v3"
    if not found or not weights.is_dir():
        raise ConvlabError("give `convlab fetch flowers` and `convlab fetch inception_v3` first.")
    shutil.copytree(PROJECT / "conf", project / "conf")
    (project / "weights").mkdir()
    (project / "weights/inception_v3").symlink_to(weights)
    num_chosen = min(num_images, len(found))
    chosen = [found[i * len(found) // num_chosen] for i in range(num_chosen)]
    for path in chosen:
        (project / "photos" / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, project / "photos" / path.parent.name)
    for i in range(num_images - num_chosen):
        path = chosen[i % len(chosen)]
        with Image.open(path) as photo:
            photo.putpixel((0, 0), (i // 256, i % 256, 0))
            photo.save(project / "photos" / path.parent.name / f"{i}-{path.name}", quality=92)
    return sorted((project / "photos").glob("*/*.jpg"))


def extraction(project: Path, paths: list[Path], repeat: int) -> list[Figure]:
    """Images a second of each thing measured, and their ratios."""
    import torch

    on_gpu = torch.cuda.is_available()
    batch_size = GPU_BATCH if on_gpu else CPU_BATCH
    settings = plain(compose("features", SETTINGS))["backbone"]
    preprocessing = Preprocessing.from_dict(settings["preprocessing"])
    backbone = Backbone("inception_v3", settings["architecture"], project / settings["weights"])
    work = Work(backbone, preprocessing, len(paths), batch_size)
    root = project / "photos"
    photos = [Photo(file_hash(p), p.parent.name, str(p.relative_to(root))) for p in paths]
    pixels = torch.stack([preprocessing.pixels(preprocessing.open(path)) for path in paths])
    model = timm_dataloader.create(settings["architecture"], project / settings["weights"])
    half = paths[: max(batch_size, len(paths) // 2)]

    starts, runtimes = [], {}
    with torch.inference_mode():
        backbone.model(work.preprocessing.normalize(pixels[:1]))  # built before the runtimes' start is timed
    timm_dataloader.extract(model, half[:batch_size])
    for name in ("torch", "compile") if on_gpu else ("onnxruntime", "openvino"):
        if installed(name):
            start = time.perf_counter()
            runtimes[name] = make_runtime(name, work)
            runtimes[name](pixels[:4])()
            starts.append((name, time.perf_counter() - start))
            runtimes[name](pixels[:batch_size])()

    def forward(name: str) -> float:
        start = time.perf_counter()
        for finish in [runtimes[name](batch) for batch in pixels.split(batch_size)]:
            finish()
        return len(pixels) / (time.perf_counter() - start)

    def ours(name: str) -> float:
        shutil.rmtree(project / "cache", ignore_errors=True)
        start = time.perf_counter()
        with BottleneckCache(project / "cache", "bench", {}) as cache:
            extract(root, photos, preprocessing, lambda *_: runtimes[name], cache, batch_size)
        return len(photos) / (time.perf_counter() - start)

    def decode() -> float:
        start = time.perf_counter()
        for _ in Decoding(root, photos, preprocessing, batch_size, 0, processes=on_gpu):
            pass
        return len(photos) / (time.perf_counter() - start)

    def peer() -> float:
        return len(half) / timm_dataloader.extract(model, half)[1]

    extracting = list(runtimes) if on_gpu else list(runtimes)[:1]
    turns: dict[str, Callable[[], float]] = {
        **{f"convlab, {name}": lambda name=name: ours(name) for name in extracting},
        **{f"forward alone, {name}": lambda name=name: forward(name) for name in runtimes},
        "decoding alone": decode,
        "timm with DataLoader": peer,
    }
    measured: dict[str, list[float]] = {name: [] for name in turns}
    for _ in range(repeat):
        for name, turn in turns.items():
            measured[name].append(turn())
            console.print(f"{name}: {measured[name][-1]:.2f} images/s", markup=False)

    def ratio(name: str, other: str, goal: str) -> Figure:
        pairs = zip(measured[name], measured[other], strict=True)
        return Figure(f"{name} / {other}", [a / b for a, b in pairs], "times", goal)

    forwards = [name for name in turns if name.startswith("forward")]
    best = f"convlab, {max(extracting, key=lambda name: np.median(measured[f'convlab, {name}']))}"
    return [
        *(Figure(name, values, "images/s") for name, values in measured.items()),
        ratio(best, "timm with DataLoader", ">= 2.0"),
        ratio(best, max(forwards, key=lambda name: np.median(measured[name])), ">= 0.95"),
        *(Figure(f"start of {name}", [s], "s") for name, s in starts),
    ]


def second_training(project: Path, repeat: int, steps: int) -> list[Figure]:
    """The first run is made here, unmeasured; what it computed is what the text files hold."""
    from convlab.cli.commands import features

    features.run(SETTINGS)
    vectors = np.load(project / "features/vectors.npy")
    index = [line.split(",") for line in (project / "features/index.csv").read_text().splitlines()[1:]]
    classes: dict[str, list[Path]] = {}
    for row, (_, path, class_name, *_rest) in enumerate(index):
        text = project / "bottlenecks" / f"{path}_inception_v3.txt"
        retrain_one_by_one.write(text, vectors[row].tolist())
        classes.setdefault(class_name, []).append(text)

    ours, theirs, whole = [], [], []
    for _ in range(repeat):
        ours.append(inputs(project))
        theirs.append(inputs_one_by_one(classes, steps))
        whole.append(commands(project))
    return [
        Figure("second training's inputs, convlab", ours, "s"),
        Figure("second training's inputs, text files", theirs, "s"),
        Figure("text files / convlab", [b / a for a, b in zip(ours, theirs, strict=True)], "times", ">= 10"),
        Figure("second training, both commands with the training", whole, "s"),
    ]


def inputs(project: Path) -> float:
    """Seconds of `convlab features` with nothing new and of 4,000 batches of 100."""
    from convlab.cli.commands import features
    from convlab.data.features import CachedFeatures

    start = time.perf_counter()
    features.run(SETTINGS)
    data = CachedFeatures(str(project / "features"), "photos", retrain_one_by_one.BATCH_SIZE)
    batches, seen = data.batches("train", shuffle_seed=1), 0
    while seen < retrain_one_by_one.STEPS * retrain_one_by_one.BATCH_SIZE:
        for vectors, _labels in batches:
            seen += len(vectors)
    return time.perf_counter() - start


def inputs_one_by_one(classes: dict[str, list[Path]], steps: int) -> float:
    """Seconds of retrain.py's pass over all files and of 4,000 batches of 100, from `steps` of them."""

    def compute(path: Path) -> list[float]:
        raise ConvlabError(f"{path} should be there")

    draw = random.Random(0)
    start = time.perf_counter()
    retrain_one_by_one.cache_bottlenecks(classes, compute)
    cached = time.perf_counter()
    for _ in range(steps):
        batch, _labels = retrain_one_by_one.random_batch(classes, compute, draw)
        np.asarray(batch, np.float32)  # what the session is fed with
    return (cached - start) + (time.perf_counter() - cached) / steps * retrain_one_by_one.STEPS


def commands(project: Path) -> float:
    """Seconds of `convlab features` and `convlab train`, each a process."""
    training = ["experiment=linear_head", "data.module.dir=features", "data.dir=photos", "logger=none"]
    start = time.perf_counter()
    for words in (["features", *SETTINGS], ["train", *training, "resume=never", "name=bench"]):
        subprocess.run(
            [sys.executable, "-m", "convlab", *words], cwd=project, check=True, stdout=subprocess.DEVNULL
        )
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
