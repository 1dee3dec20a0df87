"""Say what photos show, by a trained model or by a published network with ImageNet's classes.

usage: convlab predict PHOTO... [--model NAME] [--top K] [--json|--csv] [--sheet FILE.html]

PHOTO is a file; a folder, with all photos below it; a pattern in quotes, '*' and '**' as in a shell; an http
or https address, up to 50 MB; or - for the bytes of one photo on standard input.

  --model NAME   champion, or champion/<data> where several data sets have one (convlab promote);
                 a run: its name under runs/, or its directory; a complete model's directory, as a
                 champion's is, moved anywhere; what `convlab export` wrote (onnx, safetensors);
                 models:/<name>@<alias> or models:/<name>/<version> of MLflow's registry; or a backbone
                 of conf/backbone/ with its 1,000 ImageNet classes. inception_v3 unless given.
  --top K        number of classes per photo, the most probable first (default 5)
  --json         for programs: one list, with path and classes of each photo
  --csv          for spreadsheets: a line a photo, path,class_1,probability_1,class_2,...
  --sheet FILE   also one HTML page with a thumbnail of each photo and its classes

A photo is prepared as it was for training and evaluation, so a prediction is what `evaluate` measured: it is
turned upright, transparent pixels become white, and it is resized to what the model sees, as a whole or its
centre, as the model's preprocessing says. A photo in colour becomes grey (ITU-R 601 luma) for a model of grey
images, and is counted in a note; a digit must be white on black, as MNIST's are: nothing is inverted.

A run on bottleneck vectors needs the weights of its backbone; they must be the ones it was trained with.
What is no photo is named, and the others are still predicted; the exit status is then 1.

examples
  convlab predict rose.jpg
  convlab predict photos/ --model linear_head --top 3 --sheet photos.html
  convlab predict digit.png --model runs/lenet --json
  curl -s https://example.org/rose.jpg | convlab predict - --model champion/flowers
"""

import argparse
import csv
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from convlab.base.console import errors, progress
from convlab.base.errors import ConvlabError
from convlab.data.image_file import UnreadableImage
from convlab.prediction import named_model, photo_sources
from convlab.prediction.photo_sources import PhotoSource
from convlab.prediction.predictor import BATCH_SIZE, Predictor

WIDE = 1000  # columns: in a file no line is folded


def run(args: list[str]) -> int:
    """Predict each photo; returns the exit status."""
    options = _options(args)
    sources = photo_sources.find(options.photos, lambda said: errors.print(f"convlab predict: {said}"))
    predictor = named_model.quickest(options.model)
    sheet = None
    if options.sheet is not None:
        from convlab.prediction.sheet import Sheet

        sheet = Sheet(options.sheet, options.model)
    found, num_grey = [], 0
    for source, content, image, probabilities in _predicted(predictor, sources):
        found.append(_best(source.name, probabilities, predictor.classes, options.top))
        num_grey += image.mode == "RGB" and predictor.preprocessing.channels == 1
        if sheet is not None:
            sheet.add(found[-1], content)
    if sheet is not None:
        sheet.write()
    if num_grey:
        errors.print(
            f"convlab predict: {num_grey:,} in colour, predicted in grey: the model is made for that"
        )
    show = _show_json if options.json else _show_csv if options.csv else _show
    show(found)
    return int(len(found) < len(sources))


def _options(args: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="convlab predict", add_help=False)
    parser.add_argument("photos", nargs="*", metavar="PHOTO")
    parser.add_argument("--model", default="inception_v3")
    parser.add_argument("--top", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--csv", action="store_true")
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_intermixed_args(args)
    if not options.photos:
        raise ConvlabError("which photo? For instance: convlab predict rose.jpg")
    if options.top < 1:
        raise ConvlabError(f"--top {options.top}: choose 1 or more classes.")
    if options.json and options.csv:
        raise ConvlabError("--json --csv: choose one of the two.")
    if options.sheet is not None and not options.sheet.parent.is_dir():
        raise ConvlabError(f"--sheet {options.sheet}: there is no folder {options.sheet.parent}.")
    return options


def _predicted(
    predictor: Predictor, sources: list[PhotoSource]
) -> Iterator[tuple[PhotoSource, Path | bytes, Image.Image, np.ndarray]]:
    """Each photo that can be read: its file, image and probabilities k. The others are named on stderr."""
    left = iter(sources)
    bar = progress("predicting", len(sources), unit="photos", console=errors)
    with bar if len(sources) > BATCH_SIZE else nullcontext(lambda _: None) as advance:
        while batch := list(islice(left, BATCH_SIZE)):
            opened = [photo for source in batch if (photo := _opened(source, predictor)) is not None]
            rows = predictor(image for _, _, image in opened)
            for photo, row in zip(opened, rows, strict=True):
                yield *photo, row
            advance(len(batch))


def _opened(
    source: PhotoSource, predictor: Predictor
) -> tuple[PhotoSource, Path | bytes, Image.Image] | None:
    try:
        content = source.read()
        return source, content, predictor.preprocessing.open(content)
    except UnreadableImage as error:
        reason = str(error)
        errors.print(f"convlab predict: {reason if source.name in reason else f'{source.name}: {reason}'}")
        return None


def _best(name: str, probabilities: np.ndarray, classes: Sequence[str], top: int) -> dict[str, Any]:
    order = np.argsort(-probabilities, kind="stable")[:top]
    return {
        "path": name,
        "classes": [
            {"class": classes[index], "probability": round(float(probabilities[index]), 6)} for index in order
        ],
    }


def _show_json(found: list[dict[str, Any]]) -> None:
    print(json.dumps(found, indent=2))


def _show_csv(found: list[dict[str, Any]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    num_classes = max((len(photo["classes"]) for photo in found), default=0)
    columns = [(f"class_{place}", f"probability_{place}") for place in range(1, num_classes + 1)]
    writer.writerow(["path", *(name for pair in columns for name in pair)])
    for photo in found:
        pairs = [(each["class"], f"{each['probability']:.6f}") for each in photo["classes"]]
        writer.writerow([photo["path"], *(value for pair in pairs for value in pair)])


def _show(found: list[dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(overflow="fold")
    table.add_column(justify="right")
    table.add_column(overflow="fold")
    for photo in found:
        for place, each in enumerate(photo["classes"]):
            table.add_row(photo["path"] if not place else "", f"{each['probability']:.1%}", each["class"])
    Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else WIDE).print(table)
