"""IDX files: what is read, and what is refused."""

import gzip
import struct

import numpy as np
import pytest

from convlab.base.errors import ConvlabError
from convlab.data import idx


def test_reads_images_row_by_row(tmp_path):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(struct.pack(">4i", 2051, 2, 2, 3) + bytes(range(12))))
    assert idx.read(path, idx.IMAGES_MAGIC).tolist() == [[[0, 1, 2], [3, 4, 5]], [[6, 7, 8], [9, 10, 11]]]


def test_labels_and_images_are_not_confused(tmp_path, write_idx):
    write_idx(tmp_path / "labels.gz", np.array([1, 2, 3]))
    with pytest.raises(ConvlabError, match="expected IDX magic number 2051, found 2049"):
        idx.read(tmp_path / "labels.gz", idx.IMAGES_MAGIC)


def test_a_count_that_does_not_hold_is_refused(tmp_path):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(struct.pack(">4i", 2051, 2, 2, 3) + bytes(11)))
    with pytest.raises(ConvlabError, match="promises 2 x 2 x 3 = 12 bytes, the file holds 11"):
        idx.read(path, idx.IMAGES_MAGIC)


def test_a_truncated_archive_is_refused(tmp_path):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(struct.pack(">4i", 2051, 2, 2, 3) + bytes(12))[:-9])
    with pytest.raises(ConvlabError, match="not a complete gzip file"):
        idx.read(path, idx.IMAGES_MAGIC)


def test_a_missing_file_says_how_to_get_it(tmp_path):
    with pytest.raises(ConvlabError, match="convlab fetch mnist"):
        idx.read(tmp_path / "none.gz", idx.IMAGES_MAGIC)


def test_a_header_cut_short_is_refused(tmp_path):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(struct.pack(">2i", 2051, 2)))
    with pytest.raises(ConvlabError, match="cut short at 8 bytes"):
        idx.read(path, idx.IMAGES_MAGIC)
