"""The stage on real images with timm's smallest network, through the project's own configuration."""

import csv
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from convlab.base.errors import ConvlabError
from convlab.cli.commands import features
from convlab.features import content_hashes
from convlab.features.backbone import Backbone
from convlab.features.content_hashes import ContentHashes

TINY = [
    "data=patches",
    "data.dir=photos",
    "backbone=resnet18_random",
    "backbone.architecture=test_resnet",
    "backbone.preprocessing.size=32",
]


def picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


pytestmark = pytest.mark.usefixtures("project")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """So small a network is slower with more, most of all on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def photos(project: Path) -> Path:
    """photos/daisy and photos/rose, 25 PNGs each."""
    for i in range(50):
        picture(project / "photos" / ("daisy" if i % 2 else "rose") / f"{i}.png", i)
    return project / "photos"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run the stage; returns what a person sees."""

    def run(*overrides: str) -> str:
        capsys.readouterr()
        assert features.run([*TINY, *overrides]) == 0
        return capsys.readouterr().out

    return run


def output(project: Path) -> Path:
    return project / "features" / "patches" / "resnet18_random"


def index(project: Path) -> dict[str, dict[str, str]]:
    """Path -> row of index.csv."""
    with (output(project) / "index.csv").open(newline="") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


def vector(project: Path, path: str) -> np.ndarray:
    row = list(index(project)).index(path)
    return np.load(output(project) / "vectors.npy", mmap_mode="r")[row]


def shards(project: Path) -> list[Path]:
    return sorted((project / ".convlab" / "bottlenecks").glob("*/*.safetensors"))


def states(project: Path) -> dict[str, tuple[int, bytes]]:
    """Inode and content of each output file: an unchanged file is not even rewritten."""
    return {path.name: (path.stat().st_ino, path.read_bytes()) for path in output(project).iterdir()}


def test_what_is_written(project, photos, run):
    assert "50 photos: reused 0, computed 50, failed 0" in run()
    rows = list(index(project).values())
    assert len(rows) == 50
    assert [row["content_hash"] for row in rows] == sorted(row["content_hash"] for row in rows)
    for row in rows:
        digest = hashlib.sha256((photos / row["path"]).read_bytes()).hexdigest()
        place = int(digest[:13], 16) / 16**13
        assert row == {
            "content_hash": digest,
            "path": row["path"],
            "class": row["path"].split("/")[0],
            "label": "0" if row["path"].startswith("daisy/") else "1",
            "split": "test" if place < 0.2 else "val" if place < 0.4 else "train",
        }
    vectors = np.load(output(project) / "vectors.npy", mmap_mode="r")
    assert (vectors.shape, vectors.dtype) == ((50, 96), np.float32)
    meta = json.loads((output(project) / "meta.json").read_text())
    assert meta["classes"] == ["daisy", "rose"]
    assert (
        sum(sum(each.values()) for each in meta["counts"].values()) == sum(meta["num_photos"].values()) == 50
    )
    assert meta["counts"]["rose"]["test"] == sum(r["class"] == "rose" and r["split"] == "test" for r in rows)
    assert (
        meta["vectors_sha256"] == hashlib.sha256((output(project) / "vectors.npy").read_bytes()).hexdigest()
    )
    assert meta["preprocessing"]["size"] == 32
    assert len(meta["backbone"]["weights_hash"]) == len(meta["data_hash"]) == 64
    assert str(project) not in (output(project) / "meta.json").read_text()
    assert (output(project) / "unreadable.csv").read_text() == "path,reason\n"


@pytest.mark.usefixtures("photos")
def test_random_weights_are_never_taken_for_trained_ones(project, run):
    assert "random weights (seed 0), not trained ones" in run()
    assert json.loads((output(project) / "meta.json").read_text())["backbone"]["weights"] == "random, seed 0"


def test_nothing_new_rewrites_nothing(project, photos, run):
    run()
    before = states(project)
    for path in photos.rglob("*.png"):
        os.utime(path, (0, 0))
    (output(project) / ".vectors.npy.1.partial").write_bytes(b"left by a kill")
    printed = run()
    assert "reused 50, computed 0, failed 0" in printed
    assert "unchanged" in printed
    assert states(project) == before


def test_moving_and_renaming_compute_nothing_and_move_nothing(project, photos, run):
    run()
    before, vectors = index(project), states(project)["vectors.npy"]
    shutil.move(photos, project / "elsewhere")
    (project / "elsewhere" / "daisy" / "deep").mkdir()
    (project / "elsewhere" / "daisy" / "1.png").rename(project / "elsewhere" / "daisy" / "deep" / "Z.PNG")
    assert "reused 50, computed 0, failed 0" in run("data.dir=elsewhere")
    after = index(project)
    assert states(project)["vectors.npy"] == vectors
    assert after.pop("daisy/deep/Z.PNG") == {**before.pop("daisy/1.png"), "path": "daisy/deep/Z.PNG"}
    assert after == before


def test_five_new_photos_compute_five(project, photos, run):
    run()
    before, kept = index(project), vector(project, "rose/0.png").copy()
    for i in range(5):
        picture(photos / "rose" / f"new{i}.png", 1000 + i)
    assert "55 photos: reused 50, computed 5, failed 0" in run()
    after = index(project)
    assert {path: after[path]["split"] for path in before} == {p: row["split"] for p, row in before.items()}
    assert np.array_equal(vector(project, "rose/0.png"), kept)
    assert len(shards(project)) == 1


def test_one_changed_byte_computes_one(project, photos, run):
    picture(photos / "rose" / "0.bmp", 0)
    run()
    before = vector(project, "rose/0.bmp").copy()
    data = bytearray((photos / "rose" / "0.bmp").read_bytes())
    data[-1] ^= 0xFF  # a pixel's colour
    (photos / "rose" / "0.bmp").write_bytes(data)
    assert "reused 50, computed 1, failed 0" in run()
    assert not np.array_equal(vector(project, "rose/0.bmp"), before)


@pytest.fixture
def read(project, monkeypatch) -> list[str]:
    """The files that are read for their hash. They count as old at once, on a trusted file system."""
    monkeypatch.setattr(content_hashes, "SETTLED_S", -1.0)
    monkeypatch.setattr(content_hashes, "KEEPS_CTIME", {content_hashes._file_system(project)})
    names: list[str] = []
    real = ContentHashes._read

    def reading(self: ContentHashes, file: Path) -> str:
        names.append(Path(file).name)
        return real(self, file)

    monkeypatch.setattr(ContentHashes, "_read", reading)
    return names


def test_what_has_not_changed_is_not_read_again(project, photos, run, read):
    run()
    assert len(read) == 50  # the photos
    run()
    assert read[50:] == [shards(project)[0].name, "vectors.npy"]  # written last time
    run()
    assert len(read) == 52
    run("reread=true")
    assert len(read) == 104
    picture(photos / "rose" / "new.png", 1000)
    assert "51 photos: reused 50, computed 1, failed 0" in run()
    assert read[104:] == ["new.png"]


@pytest.mark.usefixtures("read")
def test_a_byte_changed_in_secret_is_found(project, photos, run):
    """In a photo and in the features: the size stays, mtime is put back."""
    picture(photos / "rose" / "0.bmp", 0)
    run()
    run()
    before = vector(project, "rose/0.bmp").copy()
    for path, expected in [
        (output(project) / "vectors.npy", "reused 51, computed 0"),
        (photos / "rose" / "0.bmp", "reused 50, computed 1"),
    ]:
        was = path.stat()
        time.sleep(0.02)  # the clock that files are stamped with ticks
        with path.open("r+b") as file:
            file.seek(-1, os.SEEK_END)
            last = file.read(1)
            file.seek(-1, os.SEEK_END)
            file.write(bytes([last[0] ^ 0xFF]))
        os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
        printed = run()
        assert expected in printed
        assert "written" in printed
        assert (
            hashlib.sha256((output(project) / "vectors.npy").read_bytes()).hexdigest()
            == json.loads((output(project) / "meta.json").read_text())["vectors_sha256"]
        )
    assert not np.array_equal(vector(project, "rose/0.bmp"), before)


@pytest.mark.usefixtures("photos")
def test_with_nothing_to_compute_torch_is_not_imported(project):
    save_file(Backbone("tiny", "test_resnet").model.state_dict(), project / "weights.safetensors")
    code = (
        "import sys; from convlab.cli.commands import features; features.run(sys.argv[1:]);"
        "print({'torch', 'timm', 'mlflow'} & set(sys.modules))"
    )
    words = [*TINY, f"backbone.weights={project / 'weights.safetensors'}"]
    first, second = (
        subprocess.run(
            [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    )
    assert "computed 50" in first
    assert "torch" in first.splitlines()[-1]
    assert "computed 0" in second
    assert second.splitlines()[-1] == "set()"


def test_removed_photos_leave_the_features_but_not_the_cache(project, photos, run):
    run()
    (photos / "rose" / "0.png").rename(project / "kept.png")
    assert "49 photos: reused 49, computed 0" in run()
    assert "rose/0.png" not in index(project)
    (project / "kept.png").rename(photos / "rose" / "back.png")
    assert "50 photos: reused 50, computed 0" in run()


@pytest.mark.usefixtures("photos")
def test_the_cache_outlives_the_outputs(project, run):
    run()
    before = {name: content for name, (_, content) in states(project).items()}
    shutil.rmtree(project / "features")
    assert "reused 50, computed 0, failed 0" in run()
    assert {name: content for name, (_, content) in states(project).items()} == before


def test_two_photo_folders_share_the_cache(project, photos, run):
    run()
    shutil.copytree(photos, project / "copy")
    picture(project / "copy" / "rose" / "more.png", 77)
    assert "reused 50, computed 1" in run("data.dir=copy", "data.name=copy")


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize(
    "override",
    ["backbone.seed=1", "backbone.preprocessing.size=40", "backbone.preprocessing.pixel_mean=[100]"],
)
def test_other_weights_or_preprocessing_are_computed_anew(project, run, override):
    run()
    before = vector(project, "rose/0.png").copy()
    assert "reused 0, computed 50, failed 0" in run(override)
    assert not np.allclose(vector(project, "rose/0.png"), before)
    assert "reused 50, computed 0, failed 0" in run()  # and the first are still there
    assert np.array_equal(vector(project, "rose/0.png"), before)


@pytest.mark.usefixtures("photos")
def test_a_damaged_shard_is_repaired_with_a_message(project, run):
    run()
    before = states(project)
    (shard,) = shards(project)
    data = bytearray(shard.read_bytes())
    data[random.Random(0).randrange(len(data))] ^= 4
    shard.write_bytes(data)
    printed = run()
    assert "damaged shards" in printed
    assert "reused 0, computed 50, failed 0" in printed
    assert states(project) == before
    assert "damaged" not in run()


@pytest.mark.usefixtures("photos")
def test_damaged_outputs_are_written_again(project, run):
    run()
    before = {name: content for name, (_, content) in states(project).items()}
    for name in ("vectors.npy", "index.csv", "meta.json"):
        data = bytearray((output(project) / name).read_bytes())
        data[-3] ^= 1
        (output(project) / name).write_bytes(data)
        printed = run()
        assert "reused 50, computed 0" in printed
        assert "written" in printed
        assert {name: content for name, (_, content) in states(project).items()} == before


def test_unreadable_photos_are_listed_and_skipped(project, photos, run):
    (photos / "rose" / "page.jpg").write_text("<html>404</html>")
    (photos / "rose" / "again.jpg").write_text("<html>404</html>")
    cut = (photos / "daisy" / "1.png").read_bytes()[:300]
    (photos / "daisy" / "1.png").write_bytes(cut)
    printed = run()
    assert "49 photos: reused 0, computed 49, failed 3" in printed
    assert "rose/page.jpg: not an image of a known kind" in printed
    lines = (output(project) / "unreadable.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == [
        "path",
        "daisy/1.png",
        "rose/again.jpg",
        "rose/page.jpg",
    ]
    assert not {"daisy/1.png", "rose/page.jpg"} & set(index(project))
    before = states(project)
    assert "reused 49, computed 0, failed 3" in run()
    assert states(project) == before


def test_when_no_photo_can_be_read_it_is_an_error(project, run):
    for name in ("daisy", "rose"):
        (project / "photos" / name).mkdir(parents=True)
        (project / "photos" / name / "a.jpg").write_text(name)
    with pytest.raises(ConvlabError, match=r"0 of 2 photos could be read, .*daisy/a\.jpg: not an image"):
        run()
    assert not output(project).exists()


def test_small_classes_are_warned_of(photos, run):
    picture(photos / "tulip" / "only.png", 99)
    printed = run()
    assert "classes with under 20 photos, too few to learn or measure well: tulip 1" in printed
    assert "daisy 25" not in printed


def test_substitutes_are_passed_on(project, photos, run):
    record = {"sha256": "0", "bytes": 1, "origin": "http://x"}
    (photos / "provenance.json").write_text(
        json.dumps(
            {
                "version": 1,
                "files": {"f.tgz": {**record, "substitute": "one third of the photos"}, "g.tgz": record},
                "contents": {},
            }
        )
    )
    assert "substitute: f.tgz: one third of the photos" in run()
    meta = json.loads((output(project) / "meta.json").read_text())
    assert meta["substitutes"] == ["f.tgz: one third of the photos"]


def test_orientation_is_respected(project, photos, run):
    """The same pixels, turned by the file's Exif note instead of by hand."""
    upright = Image.open(photos / "rose" / "0.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.transpose(Image.Transpose.ROTATE_90).save(photos / "rose" / "turned.png", exif=exif)
    run()
    assert np.allclose(vector(project, "rose/turned.png"), vector(project, "rose/0.png"), atol=1e-5)
    upright.transpose(Image.Transpose.ROTATE_90).save(photos / "rose" / "sideways.png")
    run()
    assert not np.allclose(vector(project, "rose/sideways.png"), vector(project, "rose/0.png"), atol=1e-3)


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data=digits"], "data=digits is not a photo folder"),
        (["backbone=none"], "backbone=none is not a network"),
        (["data.dir=absent"], "no photo folder"),
        (["backbone=inception_v3"], "convlab fetch inception_v3"),
        (["data.split.val=0.9"], "leave some for training"),
        (["backbone.runtime=tpu"], "runtime=tpu is not known"),
        (["backbone.preprocessing.resize=stretch"], "squash or crop"),
    ],
)
def test_wrong_settings_are_explained(overrides, message):
    settings = [word for word in TINY if not overrides[0].startswith("backbone=") or "backbone" not in word]
    with pytest.raises(ConvlabError, match=message):
        features.run([*settings, *overrides])


def holds_vectors(project, number):
    """Whether some shard has so many; the process that is at work replaces small ones by a larger one."""
    with suppress(FileNotFoundError):
        return any(shard.stat().st_size >= number * 96 * 4 for shard in shards(project))
    return False


def test_kill_9_loses_little_and_the_same_command_completes(project, run):
    """A real process is killed while it extracts; what it had written is reused, the rest computed."""
    for i in range(150):
        picture(project / "photos" / ("daisy" if i % 2 else "rose") / f"{i}.bmp", i)
    code = (
        "import sys; from convlab.features import cache; cache.FLUSH_EVERY_S = -1.0;"
        "from convlab.cli.commands import features; features.run(sys.argv[1:])"
    )
    process = subprocess.Popen([sys.executable, "-c", code, *TINY, "batch_size=1"], stdout=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not holds_vectors(project, 5):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (output(project) / "meta.json").exists()
    printed = run()
    reused, computed = (int(printed.split(word + " ")[1].split(",")[0]) for word in ("reused", "computed"))
    assert reused >= 5
    assert computed > 0
    assert reused + computed == 150
    assert not list(project.glob("**/*.partial"))

    shutil.rmtree(project / ".convlab")
    undisturbed = np.load(output(project) / "vectors.npy")
    shutil.rmtree(project / "features")
    run()
    assert np.allclose(np.load(output(project) / "vectors.npy"), undisturbed, atol=1e-5)


def test_a_divided_folder_keeps_its_splits(project, run, tmp_path):
    """Without val/, that is taken from train/ by content; the test photos are those of test/."""
    for i in range(60):
        folder = f"{'Test' if i % 3 == 0 else 'Training'}_set/{'daisy' if i % 2 else 'rose'}"
        picture(project / "photos" / folder / f"{i}.png", i)
    run()
    rows = index(project)
    assert {row["class"] for row in rows.values()} == {"daisy", "rose"}
    assert sorted(path for path in rows if rows[path]["split"] == "test") == sorted(
        path for path in rows if path.startswith("Test_set/")
    )
    assert sum(row["split"] == "val" for row in rows.values()) > 2
    meta = json.loads((output(project) / "meta.json").read_text())
    assert meta["split"] == {"val": 0.2, "test": 0.2, "divided": True}
    moved = project / "photos" / "Test_set" / "rose" / "0.png"
    moved.rename(project / "photos" / "Training_set" / "rose" / "0.png")
    run()
    assert json.loads((output(project) / "meta.json").read_text())["data_hash"] != meta["data_hash"]


def test_doubts_are_said_again_when_nothing_is_decoded(photos, run):
    """Twelve bits in a file of 16; and a JPEG whose last quarter is zeros."""
    values = np.random.default_rng(0).integers(0, 4096, (24, 24), dtype=np.uint16)
    Image.fromarray(values).save(photos / "rose" / "x-ray.png")
    whole = photos / "rose" / "whole.jpg"
    noise = np.random.default_rng(1).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    Image.fromarray(noise).save(whole, quality=30)
    data = whole.read_bytes()
    whole.write_bytes(data[: len(data) * 3 // 4] + bytes(len(data)))
    doubts = [
        "used all the same: 1, for instance rose/x-ray.png: grey of 16 bits or more, read as 12-bit",
        "used all the same: 1, for instance rose/whole.jpg: it has no end",
    ]
    for said in (run(), run()):
        assert all(each in said for each in doubts)


def test_vectors_of_another_folder_are_kept(project, photos, run):
    run()
    before = states(project)
    for i in range(30):
        picture(project / "others" / ("cat" if i % 2 else "dog") / f"{i}.png", 100 + i)
    with pytest.raises(ConvlabError, match=r"holds the vectors of photos, these .* of others\."):
        run("data.dir=others")
    assert states(project) == before
    run("data.dir=others", "data.name=others")
    assert states(project) == before
    run("data.dir=others", "replace=true")
    assert json.loads((output(project) / "meta.json").read_text())["classes"] == ["cat", "dog"]


def test_a_set_of_ones_own_is_called_as_its_folder(project, photos, capsys):
    photos.rename(project / "my birds")
    words = [word for word in TINY if not word.startswith("data")]
    assert features.run(["data=photos", "data.dir=my birds", *words]) == 0
    with (project / "features" / "my birds" / "resnet18_random" / "index.csv").open(newline="") as file:
        rows = [(row["class"], row["split"]) for row in csv.DictReader(file)]
    assert {each: rows.count(each) for each in sorted(set(rows))} == {  # 25 of each: cuts at 5 and 7.5
        **{("daisy", "test"): 5, ("daisy", "train"): 17, ("daisy", "val"): 3},
        **{("rose", "test"): 5, ("rose", "train"): 17, ("rose", "val"): 3},
    }


def test_photos_in_test_that_look_like_one_trained_on_are_counted(project, run):
    """Each of thirty scenes lies there twice, in other sizes; said again when nothing is computed."""
    for i in range(30):
        rough = np.random.default_rng(i).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        scene = Image.fromarray(rough).resize((96, 72), Image.Resampling.BICUBIC)
        folder = project / "photos" / ("daisy" if i % 2 else "rose")
        folder.mkdir(parents=True, exist_ok=True)
        scene.save(folder / f"{i}.png")
        scene.resize((64, 48)).save(folder / f"{i} small.png")
    said = run()
    rows = index(project)
    split = {name: row["split"] for name, row in rows.items()}
    twins = [(name, name.replace(".png", " small.png")) for name in rows if "small" not in name]
    number = sum((split[one] == "test") != (split[two] == "test") for one, two in twins)
    assert number > 5
    assert f"test photos that look like one trained on: {number}, for instance" in said
    assert json.loads((output(project) / "meta.json").read_text())["leak"]["number"] == number
    again = run()
    assert f"look like one trained on: {number}, for instance" in again
    assert "computed 0" in again
    (kept,) = (project / ".convlab" / "bottlenecks").glob("*/looks")
    kept.unlink()  # then the photos are decoded again, and no vector is computed
    again = run()
    assert f"look like one trained on: {number}, for instance" in again
    assert "computed 0" in again
    assert kept.stat().st_size == 60 * 48
