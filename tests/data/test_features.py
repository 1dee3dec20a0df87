"""Training data from a feature set's files, written here by numpy, csv and json alone."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from convlab.base.errors import ConvlabError
from convlab.data.features import CachedFeatures

VECTORS = np.arange(12 * 3, dtype=np.float32).reshape(12, 3)
SPLITS = ["train", "test", "train", "val", "train", "test"] * 2
LABELS = [0, 1, 1, 0, 0, 1] * 2


@pytest.fixture
def features(tmp_path) -> Path:
    np.save(tmp_path / "vectors.npy", VECTORS)
    with (tmp_path / "index.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["content_hash", "path", "class", "label", "split"])
        for i, (label, split) in enumerate(zip(LABELS, SPLITS, strict=True)):
            writer.writerow([f"{i:064x}", f'class{label}/"{i}",\n.png', f"class{label}", label, split])
    preprocessing = {"size": 8, "channels": 3, "pixel_mean": [0], "pixel_std": [1]}
    meta = {"classes": ["class0", "class1"], "preprocessing": preprocessing}
    (tmp_path / "meta.json").write_text(json.dumps(meta))
    return tmp_path


def load(features: Path, **settings) -> CachedFeatures:
    return CachedFeatures(str(features), str(features / "photos"), batch_size=4, **settings)


@pytest.mark.parametrize(
    ("split", "rows"), [("train", [0, 2, 4, 6, 8, 10]), ("val", [3, 9]), ("test", [1, 5, 7, 11])]
)
def test_a_split_holds_its_rows_in_order(features, split, rows):
    inputs, labels = (torch.cat(parts) for parts in zip(*load(features).batches(split), strict=True))
    assert torch.equal(inputs, torch.from_numpy(VECTORS[rows]))
    assert labels.tolist() == [LABELS[row] for row in rows]


def test_shuffled_batches_keep_vectors_and_labels_together(features):
    data = load(features)
    seen = [
        (int(x[0]) // 3, int(y))
        for inputs, labels in data.train_dataloader()
        for x, y in zip(inputs, labels, strict=True)
    ]
    assert sorted(seen) == [(row, LABELS[row]) for row in [0, 2, 4, 6, 8, 10]]
    assert [row for row, _ in seen] != [0, 2, 4, 6, 8, 10]
    assert data.input_shape == (3,)


def test_a_draw_takes_so_many_of_each_class(features):
    assert sorted(load(features, per_class=2).labels("train").tolist()) == [0, 0, 1, 1]


def test_vectors_stay_on_the_disk(features):
    assert isinstance(load(features).vectors, np.memmap)


def test_the_photo_behind_a_vector(features):
    path = features / "photos" / 'class0/"9",\n.png'
    path.parent.mkdir(parents=True)
    Image.new("RGB", (2, 3), (9, 0, 0)).save(path)
    image = load(features).image("val", 1)
    assert (image.size, image.getpixel((0, 0))) == ((2, 3), (9, 0, 0))
    assert load(features).source("val", 1) == str(path)
    Image.new("RGB", (1000, 500), (9, 0, 0)).save(path)
    assert load(features).thumbnail("val", 1).size == (128, 64)


def test_missing_features_and_empty_splits_are_explained(features, tmp_path):
    index = (features / "index.csv").read_text()
    (features / "index.csv").write_text(index.replace(",val", ",train"))
    with pytest.raises(ConvlabError, match="no image fell into the val split"):
        load(features)
    with pytest.raises(ConvlabError, match=r"nowhere holds no features\. `convlab features`"):
        load(tmp_path / "nowhere")


def test_features_fold_by_the_hashes_of_their_index(features):
    # rows 0 2 3 4 6 8 9 10 are trained or validated on; of class 0: 0 3 4 6 9 10, of class 1: 2 8, in the
    # order of their hashes: folds 1 2 1 2 1 2 and 1 2
    folded = load(features, fold={"index": 2, "count": 2})
    assert {split: rows.tolist() for split, rows in folded._rows.items()} == {
        "train": [0, 2, 4],
        "val": [9],
        "test": [3, 6, 8, 10],
    }
