"""Every runtime on the flowers' test split: speed, start, and whether anything is predicted otherwise.

usage: .venv/bin/python benchmarks/bench_runtimes.py [--images 188] [--runtimes torch compile ...]

Peer: timm's eager model on the CPU. The pixels are in memory; a runtime computes them in batches of 32, once,
after its check against four images, which is part of its start. The vectors then go through the head of
runs/linear_head (`dvc repro train@linear_head`); a prediction counts as different if its class is another.
With a GPU the runtimes are torch and compile, and the result is a section of its own.
"""

import argparse
import csv
import os
import tempfile
import time
from pathlib import Path

from record import Figure, record

from convlab.base.config import compose, plain
from convlab.base.console import console
from convlab.base.errors import ConvlabError
from convlab.data.preprocessing import Preprocessing
from convlab.features.runtimes.check import relative_difference
from convlab.features.runtimes.choice import RUNTIMES, installed, make_runtime
from convlab.features.runtimes.pytorch import plain as eager
from convlab.features.runtimes.work import Work
from convlab.models import saved
from convlab.prediction.network_predictor import backbone_of

BATCH_SIZE = 32


def main() -> None:
    import torch

    on_gpu = torch.cuda.is_available()
    all_of_them = ["torch", "compile"] if on_gpu else [name for name in RUNTIMES if name != "torch"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=None, help="only so many of the test photos")
    parser.add_argument("--runtimes", nargs="+", choices=all_of_them, default=all_of_them)
    options = parser.parse_args()
    settings = plain(compose("features", []))
    preprocessing = Preprocessing.from_dict(settings["backbone"]["preprocessing"])
    photos = test_photos(Path(settings["dir"]), Path(settings["data"]["dir"]))[: options.images]
    pixels = torch.stack([preprocessing.pixels(preprocessing.open(photo)) for photo in photos])
    head = saved.load(Path("runs/linear_head/model"))
    figures, vectors = [], {}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CONVLAB_STATE"] = folder
        work = Work(backbone_of(settings["backbone"]), preprocessing, len(photos), BATCH_SIZE)
        with torch.inference_mode():
            work.network(pixels[:1])  # the model is built
        plain_vectors, images_per_s = compute(eager(work), pixels)
        figures.append(Figure("timm, on the CPU: forward", [images_per_s], "images/s"))
        for name in options.runtimes:
            if not installed(name):
                console.print(f"{name}: not installed, left out")
                continue
            begin = time.perf_counter()
            runtime = make_runtime(name, work)
            runtime(pixels[:4])()
            start_s = time.perf_counter() - begin
            vectors[name], images_per_s = compute(runtime, pixels)
            figures += [
                Figure(f"{name}: forward", [images_per_s], "images/s"),
                Figure(f"{name}: start", [start_s], "s"),
            ]
    with torch.inference_mode():
        expected = head(plain_vectors).argmax(1)
        for name, found in vectors.items():
            other = (head(found).argmax(1) != expected).double().mean().item()
            difference = relative_difference(found, plain_vectors)
            figures += [
                Figure(f"{name}: predicted otherwise, share of photos", [other], "", "<= 0.001"),
                Figure(f"{name}: largest relative difference", [difference], "", "<= 0.001"),
            ]
    record(
        "bench_runtimes_gpu" if on_gpu else "bench_runtimes",
        f"Runtimes on {len(photos)} test photos, Inception-v3" + on_gpu * ", on a GPU",
        figures,
        peer="timm's eager model on the CPU",
        warm_up="four images, the check at a runtime's start",
        repetitions="1",
    )


def compute(runtime, pixels):
    """Vectors, and images a second."""
    import torch

    start = time.perf_counter()
    vectors = torch.cat([finish() for finish in [runtime(batch) for batch in pixels.split(BATCH_SIZE)]])
    return vectors, len(pixels) / (time.perf_counter() - start)


def test_photos(features: Path, photos: Path) -> list[Path]:
    """The photos that their content assigned to the test split."""
    if not (features / "index.csv").is_file() or not Path("runs/linear_head/model").is_dir():
        raise ConvlabError("run it in the project's folder, after `dvc repro train@linear_head`.")
    with (features / "index.csv").open(newline="") as index:
        return [photos / row["path"] for row in csv.DictReader(index) if row["split"] == "test"]


if __name__ == "__main__":
    main()
