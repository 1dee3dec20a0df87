"""What a report depends on of a run, as one small file: the sha256 of each file that it reads.

DVC's stage `compare` depends on a folder of these, results/<report>/, so that it need not name each run.
"""

from collections.abc import Iterable
from pathlib import Path

from convlab.base.files import file_hash, write_json
from convlab.runs.run import Run

EVALUATED = ("config.yaml", "history.csv", "metrics.json", "predictions.npz", "mistakes.png")


def evaluated(run: Run) -> list[Path]:
    """The files that a report reads of an evaluated run, its test images among them."""
    images = run.test_images
    return [run.directory / name for name in EVALUATED] + (images.files if images else [])


def write(run: Run, files: Iterable[Path], path: Path) -> None:
    """Write the hashes of `files`, by their names within the run's directory, to `path`."""
    named = {file.relative_to(run.directory).as_posix(): file_hash(file) for file in sorted(files)}
    write_json(path, named)
