"""A run's test images, for pages to show: where each lies, and a thumbnail of it.

images/ in a run's directory (runs/run.py) holds
  images.json   paths, in the order of predictions.npz; and of each sheet its `file`, the `cell` w h in pixels
                that a thumbnail has at most, the number of `columns`, and the thumbnails' own `sizes` w h
                (0 0: that picture could not be read)
  000.webp ...  sheets of thumbnails, filled row by row

One sheet holds many pictures, because ten thousand small files are slow to write, to copy and to load.
Equal images make equal files. Reads without torch or Pillow.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convlab.base.errors import ConvlabError
from convlab.base.files import atomic_file, write_text
from convlab.base.project import project_dir

if TYPE_CHECKING:
    from PIL.Image import Image

FOLDER, INDEX = "images", "images.json"
ABOUT = 1024  # pixels, the side of a sheet
FEWEST, MOST = 16, 1024  # thumbnails of a sheet
EXACT = 64  # pixels: thumbnails no larger than that keep every pixel, and larger ones are as JPEGs are


@dataclass(frozen=True)
class Sheet:
    """One file of thumbnails, `file` within the folder; see above."""

    file: str
    cell: tuple[int, int]
    columns: int
    sizes: list[tuple[int, int]]


@dataclass(frozen=True)
class TestImages:
    """What images/ holds. paths: relative to the project where they lie in it, or words."""

    __test__ = False  # pytest takes it for a test

    folder: Path
    paths: list[str]
    sheets: list[Sheet]

    @property
    def files(self) -> list[Path]:
        return [self.folder / INDEX, *(self.folder / sheet.file for sheet in self.sheets)]


def write(run_dir: Path, sources: Iterable[str], thumbnails: "Iterable[Image | None]") -> TestImages:
    """Write images/, in place of an earlier one. None stands for a picture that could not be read."""
    folder = run_dir / FOLDER
    paths = [_within_project(source) for source in sources]
    sheets = []
    for number, images in enumerate(_portions(thumbnails)):
        sheets.append(_save(images, folder / f"{number:03}.webp"))
    written = TestImages(folder, paths, sheets)
    listed = ", ".join(json.dumps(vars(sheet)) for sheet in sheets)
    write_text(folder / INDEX, f'{{"paths": {json.dumps(paths, indent=0)},\n"sheets": [{listed}]}}\n')
    for old in set(folder.glob("[0-9][0-9][0-9].webp")) - set(written.files):
        old.unlink()
    return written


def read(run_dir: Path, num_images: int, remedy: str) -> TestImages | None:
    """What images/ holds, None where there is none. Raises ConvlabError where it isn't of `num_images`."""
    path = run_dir / FOLDER / INDEX
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text())
        sheets = [_sheet(each) for each in found["sheets"]]
        paths = [str(each) for each in found["paths"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ConvlabError(f"{path} can't be read ({error!r}). {remedy}") from None
    counts = (len(paths), sum(len(sheet.sizes) for sheet in sheets))
    if counts != (num_images, num_images):
        raise ConvlabError(f"{path}: expected {num_images:,} paths and thumbnails, found {counts}. {remedy}")
    for sheet in sheets:
        if Path(sheet.file).name != sheet.file or not (path.parent / sheet.file).is_file():
            raise ConvlabError(f"{path}: there is no sheet {sheet.file}. {remedy}")
    return TestImages(path.parent, paths, sheets)


def _sheet(said: dict[str, Any]) -> Sheet:
    width, height = (int(each) for each in said["cell"])
    sizes = [(int(each), int(other)) for each, other in said["sizes"]]
    return Sheet(str(said["file"]), (width, height), int(said["columns"]), sizes)


def _within_project(source: str) -> str:
    root = f"{project_dir().resolve()}/"
    return source.removeprefix(root)


def _portions(thumbnails: "Iterable[Image | None]") -> "Iterator[list[Image | None]]":
    """So many that squares of the size of the portion's first picture make a sheet of ABOUT pixels a side."""
    left = iter(thumbnails)
    for first in left:
        side = max(first.size) if first else ABOUT
        portion = min(max((ABOUT // side) ** 2, FEWEST), MOST)
        yield list(islice(chain([first], left), portion))


def _save(images: "list[Image | None]", path: Path) -> Sheet:
    from PIL import Image

    sizes = [image.size if image else (0, 0) for image in images]
    cell = (max(1, *(width for width, _ in sizes)), max(1, *(height for _, height in sizes)))
    columns = max(1, min(len(images), ABOUT // cell[0]))
    mode = "RGB" if any(image and image.mode != "L" for image in images) else "L"
    sheet = Image.new(mode, (columns * cell[0], -(-len(images) // columns) * cell[1]))
    for place, image in enumerate(images):
        if image:
            row, column = divmod(place, columns)
            sheet.paste(image, (column * cell[0], row * cell[1]))
    quality: dict[str, Any] = {"lossless": True, "quality": 30, "method": 2}  # quality: the effort, 30 of 100
    with atomic_file(path) as file:
        sheet.save(file, "WEBP", **(quality if max(cell) <= EXACT else {"quality": 82}))
    return Sheet(path.name, cell, columns, sizes)
