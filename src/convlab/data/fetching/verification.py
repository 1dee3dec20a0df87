"""Is a fetched folder what it should be, beyond its checksums? Every check raises ConvlabError."""

from pathlib import Path

from safetensors import SafetensorError, safe_open

from convlab.base.errors import ConvlabError
from convlab.data import idx
from convlab.data.fetching.sources import Source

IMAGES, LABELS = "-images-idx3-ubyte.gz", "-labels-idx1-ubyte.gz"


def verify(folder: Path, sources: list[Source], stand_ins: set[str]) -> None:
    """Check each source's content, in `folder`, by its kind.

    `*-images-idx3-ubyte.gz` goes with its `*-labels-idx1-ubyte.gz`. `stand_ins` are the paths of
    sources that came as substitutes: they may hold another number of photos than was published.
    """
    for source in sources:
        if source.name.endswith(IMAGES):
            verify_digits(folder / source.name, folder / source.name.replace(IMAGES, LABELS))
        elif source.name.endswith(".safetensors"):
            verify_weights(folder / source.name)
        elif source.classes:
            verify_photos(folder, source.classes, exact=source.path not in stand_ins)


def verify_digits(images_path: Path, labels_path: Path) -> None:
    """Right magic numbers, as many values as the headers promise, 28x28 pixels, one label an image."""
    images = idx.read(images_path, idx.IMAGES_MAGIC)
    labels = idx.read(labels_path, idx.LABELS_MAGIC)
    if images.shape[1:] != (28, 28):
        size = " x ".join(map(str, images.shape[1:]))
        raise ConvlabError(f"{images_path}: expected images of 28 x 28 pixels, found {size}.")
    if len(images) != len(labels):
        raise ConvlabError(
            f"{labels_path}: expected {len(images)} labels, one an image of {images_path.name}, "
            f"found {len(labels)}."
        )


def verify_photos(folder: Path, classes: dict[str, int], exact: bool) -> None:
    """A folder for each class and no other, none empty; `exact`: with as many photos as `classes` says."""
    found = {
        path.name: sum(photo.is_file() for photo in path.iterdir())
        for path in sorted(folder.iterdir())
        if path.is_dir()
    }
    if set(found) != set(classes):
        raise ConvlabError(
            f"{folder}: expected the class folders {', '.join(sorted(classes))}; "
            f"missing: {', '.join(sorted(set(classes) - set(found))) or 'none'}, "
            f"unknown: {', '.join(sorted(set(found) - set(classes))) or 'none'}."
        )
    for name, count in classes.items():
        if found[name] == 0 or (exact and found[name] != count):
            expected = f"{count:,} photos" if exact else "photos"
            raise ConvlabError(f"{folder / name}: expected {expected}, found {found[name]:,}.")


def verify_weights(path: Path) -> None:
    """A complete safetensors file with at least one tensor; values are not read."""
    try:
        with safe_open(path, framework="numpy") as file:
            num_tensors = len(file.keys())
    except (SafetensorError, OSError) as error:
        raise ConvlabError(
            f"{path}: expected a complete safetensors file, found {path.stat().st_size:,} bytes that are "
            f"none ({error})."
        ) from None
    if not num_tensors:
        raise ConvlabError(f"{path}: expected weights, found no tensor in it.")
