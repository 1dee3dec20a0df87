"""How TensorFlow's example retrain.py keeps and reads bottlenecks: one text file an image.

Written after tensorflow/hub, examples/image_retraining/retrain.py. Before training, `cache_bottlenecks` goes
through all images: a file that is missing is computed, one image at a time, and written as numbers with
commas between; one that is there is read and parsed, and the result dropped. Then each step draws
`train_batch_size` images at random, class first, and reads and parses the file of each
(`get_random_cached_bottlenecks`).

TensorFlow itself takes no part: the images come through whatever `compute` is given.
"""

import random
from collections.abc import Callable, Sequence
from pathlib import Path

STEPS, BATCH_SIZE = 4000, 100  # retrain.py's defaults


def write(path: Path, vector: Sequence[float]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(",".join(str(value) for value in vector))


def get_or_create(path: Path, compute: Callable[[Path], Sequence[float]]) -> list[float]:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        write(path, compute(path))
    text = path.read_text()
    try:
        return [float(word) for word in text.split(",")]
    except ValueError:  # as retrain.py: computed once more
        write(path, compute(path))
        return [float(word) for word in path.read_text().split(",")]


def cache_bottlenecks(classes: dict[str, list[Path]], compute: Callable[[Path], Sequence[float]]) -> int:
    """How many were gone through."""
    paths = [path for paths in classes.values() for path in paths]
    for path in paths:
        get_or_create(path, compute)
    return len(paths)


def random_batch(
    classes: dict[str, list[Path]], compute: Callable[[Path], Sequence[float]], draw: random.Random
) -> tuple[list[list[float]], list[int]]:
    """A step's vectors and labels."""
    names, vectors, labels = list(classes), [], []
    for _ in range(BATCH_SIZE):
        label = draw.randrange(len(names))
        paths = classes[names[label]]
        vectors.append(get_or_create(paths[draw.randrange(2**27) % len(paths)], compute))
        labels.append(label)
    return vectors, labels
