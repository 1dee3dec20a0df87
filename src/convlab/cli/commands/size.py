"""Work out the output of one convolution or pooling, under each padding that has a name.

usage: convlab size image=<size> kernel=<size> [stride=1] [padding=P] [dilation=1] [maps=M] [--json]
       convlab size image=<size> kernel=<size> [...] [output_padding=0] --transposed [--json]

image is a number of pixels along one axis, HEIGHTxWIDTH, or HEIGHTxWIDTHxCHANNELS. The others are one
number for both axes or HEIGHTxWIDTH, such as kernel=1x7. Each line of the table is one padding:
  VALID       TensorFlow: no zeros; windows that do not fit are left out
  SAME        TensorFlow: one output for each step of the stride; an odd zero goes after the image
  P, floor    PyTorch: P zeros on both sides (padding=P, or 0); a remainder is dropped
  P, ceil     PyTorch's pooling with ceil_mode=True: a remainder makes one more window
  P, exact    the textbook: a remainder is refused
and its columns are
  output      positions of the window
  zeros       added before and after the image
  unseen      pixels along an axis that no window reads
padding=VALID or padding=SAME shows that line alone. What cannot be is refused, with the reason.

maps=M takes the window for a convolution from an image with channels to M feature maps, and adds
  parameters  weights and biases
  connections (what a unit reads + its bias) x units, as LeCun et al. (1998) count them
  mult-adds   multiply-adds: those of weights, for one image

--transposed goes the other way, from a small image to a large one. Several large sizes convolve to the
same small one: `possible` has them all (those that TensorFlow's conv2d_transpose accepts as output
shape, those that PyTorch makes with output_padding), `output` the one that TensorFlow's layers and
PyTorch with the given output_padding choose.

docs/tutorial/01-arithmetic.md explains, docs/arithmetic.md has each formula. Needs no torch.

examples
  convlab size image=7 kernel=3 stride=2                 3, or 4 with SAME
  convlab size image=32x32x3 kernel=5 padding=2          32x32 is kept
  convlab size image=5x5x3 kernel=3 maps=16 padding=SAME 448 parameters
  convlab size image=13 kernel=6 stride=5 --json         SAME pads 1 before and 2 after
  convlab size image=4 kernel=3 stride=2 padding=1 output_padding=1 --transposed    8
"""

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any, NoReturn

from rich import box
from rich.console import Console
from rich.table import Table

from convlab.arithmetic.paddings import NAMED, Axes, Line, Question, by, forward, hints, transposed
from convlab.base.errors import ConvlabError, near

HEADINGS = {
    "output": "output",
    "zeros_before": "zeros before",
    "zeros_after": "zeros after",
    "unseen": "unseen",
    "possible": "possible",
    "parameters": "parameters",
    "connections": "connections",
    "multiply_adds": "mult-adds",
}
WIDE = 1000  # columns: in a file no cell is folded


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConvlabError(f"{message}. `convlab size --help` explains the arguments.")


def run(args: list[str]) -> int:
    """Print the answer to `args`."""
    parser = _Parser(prog="convlab size", add_help=False, allow_abbrev=False)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--transposed", action="store_true")
    parser.add_argument("words", nargs="*")
    options = parser.parse_intermixed_args(args)
    question = _question(options.words, options.transposed)
    lines = transposed(question) if options.transposed else forward(question)
    notes = [f"{line.label}: {line.refused}" for line in lines if line.refused]
    notes = [*dict.fromkeys(notes), *([] if options.transposed else hints(question))]
    if options.json:
        print(json.dumps({"lines": [asdict(line) for line in lines], "notes": notes}, indent=2))
        return 0
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)
    console.print(_table(lines))
    for note in notes:
        console.print(note, markup=False, soft_wrap=True)
    return 0


def _table(lines: list[Line]) -> Table:
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    names = [name for name in HEADINGS if any(name in line.numbers for line in lines)]
    rounded = any(line.rounding for line in lines)
    for heading in ("padding", "rounding", "as in") if rounded else ("padding", "as in"):
        drawn.add_column(heading)
    for name in names:
        drawn.add_column(HEADINGS[name], justify="right")
    for line in lines:
        cells = [_cell(name, line.numbers[name]) if line.numbers else "" for name in names]
        if line.refused:
            cells[0] = "refused"
        drawn.add_row(line.padding, *([line.rounding or ""] if rounded else []), line.origin, *cells)
    return drawn


def _cell(name: str, value: Any) -> str:
    if name == "output":
        return "x".join(str(size) for size in value)
    if name == "possible":
        ranges = [f"{first}" if first == last else f"{first} to {last}" for first, last in value]
        return ranges[0] if len(ranges) == 1 else "x".join(f"({sizes})" for sizes in ranges)
    return f"{value:,}" if isinstance(value, int) else by(value)


def _question(words: list[str], back: bool) -> Question:
    given = _given(words)
    image = _numbers("image", given.get("image", ""))
    if len(image) > 3:
        raise ConvlabError(f"image={given['image']}: expected pixels, HEIGHTxWIDTH or HEIGHTxWIDTHxCHANNELS.")
    channels = image[2] if len(image) == 3 else None
    maps = _numbers("maps", given["maps"])[0] if "maps" in given else None
    if maps is not None and (channels is None or back):
        raise ConvlabError(
            f"maps={maps} goes with a convolution of an image with channels, for instance image=32x32x3, "
            "and not with --transposed."
        )
    if maps == 0 or channels == 0:
        raise ConvlabError(
            f"maps={given.get('maps')}, image={given['image']}: no channels, nothing to convolve."
        )
    image = image[:2]
    if "output_padding" in given and not back:
        raise ConvlabError(f"output_padding={given['output_padding']} goes with --transposed.")

    def along(name: str, default: str) -> Axes:
        found = _numbers(name, given.get(name, default))
        if len(found) not in (1, len(image)):
            raise ConvlabError(
                f"{name}={given[name]}: expected one number, or one for each axis of the image."
            )
        return found if len(found) == len(image) else found * len(image)

    named = given.get("padding", "").upper()
    return Question(
        image=image,
        channels=channels,
        maps=maps,
        kernel=along("kernel", ""),
        stride=along("stride", "1"),
        dilation=along("dilation", "1"),
        padding=named if named in NAMED else along("padding", "") if named else None,
        output_padding=along("output_padding", "0"),
    )


def _given(words: list[str]) -> dict[str, str]:
    known = [name for name in Question.__dataclass_fields__ if name != "channels"]
    for word in words:
        name, equals, _ = word.partition("=")
        if not equals or name not in known:
            hint = near(f"{name}=", [f"{each}=" for each in known], 1) or f"Known: {', '.join(known)}."
            raise ConvlabError(f"'{word}' says nothing. {hint} `convlab size --help` has examples.")
    return dict(word.split("=", 1) for word in words)


def _numbers(name: str, text: str) -> Axes:
    if not text:
        raise ConvlabError(f"{name}= is missing. For instance: convlab size image=7 kernel=3 stride=2")
    if not all(part.isdecimal() for part in text.split("x")):
        raise ConvlabError(f"{name}={text}: expected whole numbers such as {name}=5 or {name}=5x7.")
    return tuple(int(part) for part in text.split("x"))
