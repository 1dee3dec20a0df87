"""Say what photos show, by a trained run or by a published network with ImageNet's classes.

usage: convlab predict PHOTO... [--model NAME] [--top K] [--json]

  --model NAME   champion, or champion/<data> where several data sets have one (convlab promote);
                 a run: its name under runs/, or its directory; a complete model's directory, as a
                 champion's is, moved anywhere; or a backbone of conf/backbone/ with its 1,000 ImageNet
                 classes. inception_v3 unless given.
  --top K        so many classes a photo, the most probable first; 5 unless given
  --json         for programs: one list, with path and classes of each photo

A photo is prepared as it was for training and evaluation, so a prediction is what `evaluate` measured.
A run on bottleneck vectors needs the weights of its backbone; they must be the ones it was trained with.
A file that is no photo is named, and the others are still predicted; the exit status is then 1.

examples
  convlab predict rose.jpg
  convlab predict photos/*.jpg --model linear_head --top 3
  convlab predict digit.png --model runs/lenet --json
  convlab predict rose.jpg --model champion/flowers
"""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from convlab import named_model
from convlab.errors import ConvlabError
from convlab.preprocessing import UnreadableImage

if TYPE_CHECKING:
    from convlab.prediction import Predictor

WIDE = 1000  # columns: in a file no line is folded


def run(args: list[str]) -> int:
    """Predict each photo; returns the exit status."""
    parser = argparse.ArgumentParser(prog="convlab predict", add_help=False)
    parser.add_argument("photos", nargs="*", metavar="PHOTO", type=Path)
    parser.add_argument("--model", default="inception_v3")
    parser.add_argument("--top", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_intermixed_args(args)
    if not options.photos:
        raise ConvlabError("which photo? For instance: convlab predict rose.jpg")
    if options.top < 1:
        raise ConvlabError(f"--top {options.top}: choose 1 or more classes.")
    predictor = named_model.load(options.model)
    readable = [photo for photo in options.photos if _readable(photo, predictor)]
    found = _predict(predictor, readable, options.top) if readable else []
    print(json.dumps(found, indent=2)) if options.json else _show(found)
    return int(len(readable) < len(options.photos))


def _readable(photo: Path, predictor: "Predictor") -> bool:
    try:
        predictor.pixels(photo)
    except UnreadableImage as error:
        print(f"convlab predict: {error}", file=sys.stderr)
        return False
    return True


def _predict(predictor: "Predictor", photos: list[Path], top: int) -> list[dict[str, Any]]:
    best = predictor(photos).topk(min(top, len(predictor.classes)))
    return [
        {
            "path": str(photo),
            "classes": [
                {"class": predictor.classes[index], "probability": round(probability, 6)}
                for probability, index in zip(probabilities, indices, strict=True)
            ],
        }
        for photo, probabilities, indices in zip(
            photos, best.values.tolist(), best.indices.tolist(), strict=True
        )
    ]


def _show(found: list[dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(overflow="fold")
    table.add_column(justify="right")
    table.add_column(overflow="fold")
    for photo in found:
        for place, each in enumerate(photo["classes"]):
            table.add_row(photo["path"] if not place else "", f"{each['probability']:.1%}", each["class"])
    Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else WIDE).print(table)
