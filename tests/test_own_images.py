"""From a folder never seen before to a served champion: the commands of docs/how-to/own-images.md."""

import json
from pathlib import Path

import numpy as np
import pytest
import requests
from PIL import Image
from sample_runs import SMALL_BACKBONE
from serving import serving

from convlab.cli.commands import features, promote, train

GREEN, RED, BLUE = "Grüne Dinge", "red & #1 (new)", "blue"
COLOURS = {GREEN: (40, 200, 60), RED: (210, 40, 50), BLUE: (40, 60, 220)}
SAVED_AS = (
    ("JPEG", ".jpg", "RGB"),
    ("JPEG", ".JPG", "CMYK"),
    ("PNG", ".png", "RGBA"),
    ("PNG", ".PNG", "P"),
    ("WEBP", ".webp", "RGB"),
    ("BMP", ".bmp", "RGB"),
    ("GIF", ".gif", "P"),
    ("TIFF", ".tiff", "RGB"),
)


def shade(name: str, seed: int) -> Image.Image:
    """A noisy area in the colour of a class, each of another shape."""
    random = np.random.default_rng([seed, len(name)])
    noise = random.normal(0, 25, (*random.integers(30, 90, 2), 3))
    return Image.fromarray((np.array(COLOURS[name]) + noise).clip(0, 255).astype(np.uint8))


@pytest.fixture
def folder(project: Path) -> Path:
    """Awkward names, eight kinds of files, classes of 60, 45 and 12 images, and files that are none."""
    for name, count in ((GREEN, 60), (RED, 45), (BLUE, 12)):
        directory = project / "my photos" / name
        directory.mkdir(parents=True)
        for number in range(count):
            kind, suffix, mode = SAVED_AS[number % len(SAVED_AS)]
            shade(name, number).convert(mode).save(directory / f"Foto {number} 'ä' 100%{suffix}", kind)
    (project / "my photos" / RED / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut off")
    (project / "my photos" / BLUE / "empty.png").touch()
    (project / "my photos" / BLUE / "Thumbs.db").write_bytes(b"\0" * 64)
    (project / "my photos" / "notes.txt").write_text("not a class")
    return project / "my photos"


@pytest.fixture
def champion(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What was printed on the way to it."""
    data = ("data.name=things", f"data.dir={folder.name}", *SMALL_BACKBONE)
    assert features.run(["data=flowers", *data]) == 0
    words = ["experiment=linear_head", "name=things", "evaluate=true", "trainer.max_epochs=20", *data]
    assert train.run(words) == 0
    assert promote.run(["things"]) == 0
    return capsys.readouterr().out


def test_a_folder_becomes_a_served_champion(project: Path, folder: Path, champion: str):
    unreadable = project / "features" / "things" / "resnet18_random" / "unreadable.csv"
    named = unreadable.read_text(encoding="utf-8")
    assert "broken.jpg" in named
    assert "empty.png" in named
    assert f"too few to learn or measure well: {BLUE}" in champion  # 12 images
    test = json.loads((project / "runs" / "things" / "metrics.json").read_text())["test"]
    assert f"things, test: {test['acc']:.2%} of {test['num_images']} images (95 % interval" in champion
    with serving(project) as server:
        about = requests.get(f"{server.url}/version", timeout=10).json()
        assert about["data"] == "things"
        for name in COLOURS:
            photo = project / "new.png"
            shade(name, 1000).save(photo)
            answer = requests.post(
                f"{server.url}/predict",
                data=photo.read_bytes(),
                headers={"Content-Type": "image/png"},
                timeout=10,
            )
            assert answer.status_code == 200
            assert answer.json()["classes"][0]["class"] == name
    card = (project / "champions" / "things" / "1" / "README.md").read_text(encoding="utf-8")
    assert all(name in card for name in COLOURS)
    assert json.loads((project / "champions" / "things" / "history.json").read_text())[0]["run"] == "things"
