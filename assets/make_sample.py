"""Make `assets/sample/`, the data of `make demo`, from images that scikit-learn carries.

usage: .venv/bin/python assets/make_sample.py

Digits: the 1,797 handwritten 8x8 digits of the UCI data set, brought to MNIST's form: 20x20 in the middle of
28x28, as gzipped IDX files under MNIST's names. Patches: scikit-learn's two sample photographs, cut into
64x64 squares that don't overlap; the classes are the photographs. The same bytes on every run.
"""

import gzip
import struct
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images
from sklearn.model_selection import train_test_split

SAMPLE_DIR = Path(__file__).parent / "sample"
NUM_TEST = 500
PATCH = 64


def main() -> None:
    write_digits(SAMPLE_DIR / "digits")
    write_patches(SAMPLE_DIR / "patches")


def write_digits(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    digits, labels = load_digits(return_X_y=True)
    images = np.stack([mnist_form(digit.reshape(8, 8)) for digit in digits])
    train, test = train_test_split(
        np.arange(len(labels)), test_size=NUM_TEST, random_state=0, stratify=labels
    )
    for prefix, rows in (("train", train), ("t10k", test)):
        write_idx(folder / f"{prefix}-images-idx3-ubyte.gz", 2051, images[rows])
        write_idx(folder / f"{prefix}-labels-idx1-ubyte.gz", 2049, labels[rows].astype(np.uint8))


def mnist_form(digit: np.ndarray) -> np.ndarray:
    """uint8 28 28 from values 0..16 of shape 8 8."""
    small = Image.fromarray(np.round(digit * (255 / 16)).astype(np.uint8))
    canvas = Image.new("L", (28, 28))
    canvas.paste(small.resize((20, 20), Image.Resampling.BILINEAR), (4, 4))
    return np.asarray(canvas)


def write_idx(path: Path, magic: int, values: np.ndarray) -> None:
    header = struct.pack(f">{1 + values.ndim}i", magic, *values.shape)
    path.write_bytes(gzip.compress(header + values.tobytes(), 9, mtime=0))


def write_patches(folder: Path) -> None:
    sample = load_sample_images()
    for filename, photo in zip(sample.filenames, sample.images, strict=True):
        target = folder / Path(filename).stem
        target.mkdir(parents=True, exist_ok=True)
        for row in range(photo.shape[0] // PATCH):
            for column in range(photo.shape[1] // PATCH):
                top, left = row * PATCH, column * PATCH
                patch = photo[top : top + PATCH, left : left + PATCH]
                Image.fromarray(patch).save(target / f"{row}_{column}.jpg", quality=90)


if __name__ == "__main__":
    main()
