"""The scan reads names and bytes alone, so most files here are no images."""

import hashlib
from pathlib import Path

import pytest

from convlab.base.errors import ConvlabError
from convlab.base.files import file_hash
from convlab.data import photo_files
from convlab.data.index import Row
from convlab.data.photo_warnings import after_reading, before_reading
from convlab.data.photos import Photo, scan


def make(root: Path, **contents: dict[str, bytes]) -> Path:
    """`daisy={"a.jpg": b"1"}` becomes daisy/a.jpg."""
    for class_name, files in contents.items():
        for name, data in files.items():
            path = root / class_name / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return root


def test_photos_are_known_by_their_bytes(tmp_path):
    root = make(tmp_path, daisy={"a.jpg": b"one"}, rose={"b.PNG": b"two"})
    assert set(scan(root).photos) == {
        Photo(hashlib.sha256(b"one").hexdigest(), "daisy", "daisy/a.jpg"),
        Photo(hashlib.sha256(b"two").hexdigest(), "rose", "rose/b.PNG"),
    }
    assert file_hash(root / "daisy" / "a.jpg") == hashlib.sha256(b"one").hexdigest()


def test_what_counts_as_a_photo(tmp_path):
    images = [
        "a.jpg",
        "b.JPEG",
        "c.png",
        "d.bmp",
        "e.gif",
        "f.webp",
        "g.tif",
        "h.TIFF",
        "deep/er/i.jpg",
        "j.jfif",
        "k.JPE",
    ]
    others = [".hidden.jpg", "._mac.jpg", ".thumbs/j.jpg", "notes.txt", "k.heic", "l.heic", "README"]
    others += ["@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg", "__MACOSX/b.jpg"]
    root = make(tmp_path, rose={name: name.encode() for name in images + others}, daisy={"z.jpg": b"z"})
    make(root, **{".cache": {"m.jpg": b"m"}})
    (root / "LICENSE.txt").write_text("beside the classes")
    (root / "loose.jpg").write_bytes(b"in no class")
    folder = scan(root)
    assert {photo.path for photo in folder.photos} == {f"rose/{name}" for name in images} | {"daisy/z.jpg"}
    assert {name: sorted(kinds) for name, kinds in folder.ignored.items()} == {
        "rose": ["", ".heic", ".heic", ".txt"]
    }
    assert before_reading(folder) == [
        "ignored files that are not of a known image type: 2 .heic, 1 .txt, 1 without suffix "
        "(HEIC can't be read: save them as JPEG)"
    ]


def test_repeats_in_a_class_are_left_out_and_reported(tmp_path):
    root = make(
        tmp_path, daisy={"b.jpg": b"same", "a.jpg": b"same", "sub/c.jpg": b"same"}, rose={"d.jpg": b"d"}
    )
    folder = scan(root)
    assert sorted(photo.path for photo in folder.photos) == ["daisy/a.jpg", "rose/d.jpg"]
    assert [photo.path for photo in folder.repeats] == ["daisy/b.jpg", "daisy/sub/c.jpg"]
    assert before_reading(folder) == [
        "files that repeat a photo of their own class, left out: 2, for instance daisy/b.jpg"
    ]


def test_the_first_path_is_the_first_folder_by_folder(tmp_path):
    """As `Path` sorts: folder "a" comes before "a-b", though "a/" comes after "a-"."""
    make(tmp_path, daisy={"a-b/x.jpg": b"same", "a/y.jpg": b"same", "z.jpg": b"same"}, rose={"r.jpg": b"r"})
    folder = scan(tmp_path)
    in_order = [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.glob("daisy/**/*.jpg"))]
    assert in_order == ["daisy/a/y.jpg", "daisy/a-b/x.jpg", "daisy/z.jpg"]
    assert [photo.path for photo in folder.photos if photo.class_name == "daisy"] == ["daisy/a/y.jpg"]
    assert [photo.path for photo in folder.repeats] == ["daisy/a-b/x.jpg", "daisy/z.jpg"]


def test_repeats_are_reported_by_their_paths(tmp_path):
    """Two repeated photos, whose contents sort the other way round than their paths."""
    one, two = sorted([b"1", b"2"], key=lambda data: hashlib.sha256(data).hexdigest())
    make(tmp_path, daisy={"a.jpg": two, "b.jpg": two, "c.jpg": one, "d.jpg": one}, rose={"r.jpg": b"r"})
    assert [photo.path for photo in scan(tmp_path).repeats] == ["daisy/b.jpg", "daisy/d.jpg"]


@pytest.mark.parametrize("name", ["a.JPG", "a.b.png", "README", "a.", "..x", "a..jpg", "sub.dir/b", "ä.é"])
def test_suffixes_are_those_that_path_gives(name):
    assert photo_files.suffix(f"rose/{name}") == Path(f"rose/{name}").suffix.lower()


def test_hashes_come_from_where_the_caller_says(tmp_path):
    root = make(tmp_path, daisy={"a.jpg": b"one"}, rose={"b.jpg": b"two"})
    known = {f"{root}/daisy/a.jpg": "1" * 64, f"{root}/rose/b.jpg": "0" * 64}
    assert scan(root, known.__getitem__).photos == (
        Photo("0" * 64, "rose", "rose/b.jpg"),
        Photo("1" * 64, "daisy", "daisy/a.jpg"),
    )


def test_one_photo_in_two_classes_is_a_contradiction_and_keeps_both(tmp_path):
    folder = scan(make(tmp_path, daisy={"a.jpg": b"same"}, rose={"b.jpg": b"same"}))
    assert [(photo.class_name, photo.path) for photo in folder.photos] == [
        ("daisy", "daisy/a.jpg"),
        ("rose", "rose/b.jpg"),
    ]
    assert before_reading(folder) == [
        "photos in more than one class, which no classifier can learn: 1, "
        "for instance daisy/a.jpg = rose/b.jpg"
    ]


def test_renaming_and_moving_keep_content_and_order(tmp_path):
    files = {f"{i}.jpg": bytes([i]) for i in range(10)}
    before = scan(make(tmp_path / "old", daisy=files, rose={"r.jpg": b"r"}))
    renamed = {f"sub/{9 - i}.png": bytes([i]) for i in range(10)}
    after = scan(make(tmp_path / "new", daisy=renamed, rose={"r.jpg": b"r"}))
    assert [photo.content_hash for photo in before.photos] == [photo.content_hash for photo in after.photos]
    assert [photo.content_hash for photo in before.photos] == sorted(p.content_hash for p in before.photos)


def test_a_missing_folder_is_named_with_the_way_out(tmp_path):
    with pytest.raises(
        ConvlabError, match=r"no photo folder .*/absent\..*/absent/<class>/<photo>\.jpg.*data\.dir="
    ):
        scan(tmp_path / "absent")


def test_too_few_classes_says_what_was_found(tmp_path):
    (tmp_path / "empty class").mkdir()
    for name in ("1.jpg", "2.png"):
        (tmp_path / name).write_bytes(name.encode())
    with pytest.raises(
        ConvlabError, match="found no class folder with photos and 2 photos beside the folders"
    ):
        scan(tmp_path)
    make(tmp_path, daisy={"a.jpg": b"a"})
    with pytest.raises(ConvlabError, match=r"found one class with photos \(daisy\)"):
        scan(tmp_path)


def test_files_that_cannot_be_read_are_listed(tmp_path):
    root = make(tmp_path, daisy={"a.jpg": b"a"}, rose={"b.jpg": b"b"})
    (root / "rose" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (root / "rose" / b"caf\xe9.jpg".decode(errors="surrogateescape")).write_bytes(b"latin-1 name")
    folder = scan(root)
    assert len(folder.photos) == 2
    assert folder.unreadable == {
        "rose/gone.jpg": "No such file or directory",
        r"rose/caf\xe9.jpg": "its name is not valid UTF-8",
    }


def test_linked_folders_are_followed_but_never_in_circles(tmp_path):
    make(tmp_path / "elsewhere", album={"a.jpg": b"a", "sub/b.jpg": b"b"})
    root = make(tmp_path / "photos", daisy={"z.jpg": b"z"}, rose={"r.jpg": b"r"})
    (root / "rose" / "linked").symlink_to(tmp_path / "elsewhere" / "album")
    (root / "rose" / "linked" / "sub" / "up").symlink_to(root / "rose")
    assert sorted(photo.path for photo in scan(root).photos) == [
        "daisy/z.jpg",
        "rose/linked/a.jpg",
        "rose/linked/sub/b.jpg",
        "rose/r.jpg",
    ]


def test_a_folder_of_unsupported_photos_names_them(tmp_path):
    make(tmp_path, cat={"1.heic": b"1", "2.HEIC": b"2"}, dog={"3.heic": b"3"})
    with pytest.raises(ConvlabError, match=r"3 \.heic \(HEIC can't be read: save them as JPEG\)"):
        scan(tmp_path)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "labels.csv").write_text("path,label")
    with pytest.raises(ConvlabError, match=r"labels\.csv is a file\. data\.dir=<folder>"):
        scan(tmp_path / "labels.csv")


def test_the_folder_that_holds_the_classes_is_suggested(tmp_path):
    make(tmp_path, flowers={"daisy/1.jpg": b"1", "rose/2.jpg": b"2"})
    with pytest.raises(ConvlabError, match=rf"look like the classes: data\.dir={tmp_path}/flowers"):
        scan(tmp_path)


def test_classes_that_vanish_are_named_with_the_reason(tmp_path):
    make(tmp_path, daisy={"a.jpg": b"a"}, rose={"b.jpg": b"b"}, torn={"c.jpg": b"c"}, apple={"d.heic": b"d"})
    (tmp_path / "empty" / "sub").mkdir(parents=True)
    folder = scan(tmp_path)
    torn = next(photo.content_hash for photo in folder.photos if photo.class_name == "torn")
    assert after_reading(folder, {torn: "truncated"}, {}, [])[0] == (
        "class folders without a photo to use, left out: apple (only 1 .heic (HEIC can't be read: save "
        "them as JPEG)), empty (empty), torn (none that can be read)"
    )


def test_names_that_differ_in_case_or_unicode_form_only(tmp_path):
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    make(tmp_path, **{name: {"1.jpg": name.encode()} for name in ("Rose", "rose", composed, decomposed, "x")})
    assert before_reading(scan(tmp_path)) == [
        "classes whose names differ in case or in Unicode form only, yet count as two: "
        f"'Rose' and 'rose', {decomposed!r} and {composed!r}"
    ]


def test_a_divided_folder_keeps_its_splits_and_no_photo_lies_in_two(tmp_path):
    root = make(
        tmp_path,
        **{
            "train/rose": {"1.jpg": b"1", "2.jpg": b"2", "leaked.jpg": b"t"},
            "train/daisy": {"3.jpg": b"3"},
            "test/rose": {"4.jpg": b"t", "again.jpg": b"t"},
            "test": {"loose.jpg": b"loose"},
        },
    )
    folder = scan(root)
    assert folder.divided
    assert sorted((photo.path, photo.class_name, photo.split) for photo in folder.photos) == [
        ("test/rose/4.jpg", "rose", "test"),
        ("train/daisy/3.jpg", "daisy", "train"),
        ("train/rose/1.jpg", "rose", "train"),
        ("train/rose/2.jpg", "rose", "train"),
    ]
    assert before_reading(folder) == [
        "files that repeat a photo of their own class, left out: 1, for instance test/rose/again.jpg",
        "photos that lie in more than one split, kept in one (test before val before train): 1, "
        "for instance train/rose/leaked.jpg",
        "photos in no class folder, left out: 1, for instance test/loose.jpg",
    ]


def test_long_lists_stay_a_sentence(tmp_path):
    make(tmp_path, **{f"class {number:04}": {"1.jpg": bytes([number % 256])} for number in range(1000)})
    rows = [Row("", "", f"{number:04}", number, "train") for number in range(1000)]
    small, empty = after_reading(scan(tmp_path), {}, {}, rows)
    assert small.endswith("0000 1, 0001 1, 0002 1, 0003 1, 0004 1 and 995 more")
    assert empty.startswith(
        "no photo of 0000 in val, 0000 in test, 0001 in val, 0001 in test, 0002 in val and 1,995 more"
    )
