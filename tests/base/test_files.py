"""A file is replaced whole or not at all, and is known by its bytes."""

import hashlib

import pytest

from convlab.base.errors import ConvlabError
from convlab.base.files import SUFFIX, atomic_file, clear_partials, file_hash, write_json, write_text


def test_what_is_written_replaces_what_was_there_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "new" / "record.json"
    write_text(path, "é")
    assert path.read_bytes() == b"\xc3\xa9"
    write_json(path, {"b": [1], "a": "é"})
    assert path.read_text() == '{\n  "b": [\n    1\n  ],\n  "a": "\\u00e9"\n}\n'
    assert [each.name for each in path.parent.iterdir()] == ["record.json"]


def test_a_block_that_raises_changes_nothing(tmp_path):
    path = tmp_path / "record"
    path.write_text("old")

    def interrupted() -> None:
        with atomic_file(path) as file:
            file.write(b"ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["record"]


def test_what_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConvlabError, match=r"cannot write .*below: .*run it again"):
        write_text(tmp_path / "file" / "below", "")


def test_only_what_a_kill_left_is_cleared(tmp_path):
    for name in (f".a.1{SUFFIX}", f"a{SUFFIX}", "a"):
        (tmp_path / name).touch()
    clear_partials(tmp_path)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a", f"a{SUFFIX}"]


def test_a_file_s_hash_is_that_of_its_bytes(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    assert file_hash(tmp_path / "file")[:16] == "ba7816bf8f01cfea"  # FIPS 180-2, appendix B.1
    assert file_hash(str(tmp_path / "file"), "md5") == hashlib.md5(b"abc").hexdigest()
