"""`convlab predict` gives the numbers that evaluation measured, and ImageNet's classes by whole networks."""

import base64
import csv
import io
import json
import re
import sys

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from sample_runs import copy_runs

from convlab.base.errors import ConvlabError
from convlab.cli.commands import features, predict, train
from convlab.data.preprocessing import Preprocessing
from convlab.features.backbone import Backbone
from convlab.prediction import network_predictor
from convlab.runs import model_file
from convlab.runs.run import Run
from convlab.training.evaluation import evaluate

SMALL = "test_resnet"  # timm's smallest
SMALL_BACKBONE = (
    "backbone=resnet18_random",
    f"backbone.architecture={SMALL}",
    "backbone.preprocessing.size=32",
)


def settings(**given):
    values = Preprocessing(size=32, channels=3, pixel_mean=(128,), pixel_std=(128,)).to_dict()
    return {"name": "b", "seed": 0, "options": {}, "preprocessing": values} | given


@pytest.fixture
def photos(project):
    """Test patches of the sample as a list of paths, in the order of their labels' split."""
    return sorted((project / "data" / "patches").rglob("*.jpg"))


def json_of(capsys, *words):
    capsys.readouterr()
    assert predict.run([str(word) for word in words] + ["--json"]) == 0
    return json.loads(capsys.readouterr().out)


class TestRuns:
    def test_a_network_on_pixels_as_evaluated(self, project, capsys):
        """The very file that is a test image, so a digit written out as PNG."""
        words = ["experiment=digits_lenet5", "trainer.max_epochs=2", "logger=none", "name=lenet5"]
        assert train.run(words) == 0
        evaluate(project / "runs" / "lenet5")
        stored = np.load(project / "runs" / "lenet5" / "predictions.npz")
        from hydra.utils import instantiate
        from omegaconf import OmegaConf

        config = OmegaConf.to_container(OmegaConf.load(project / "runs" / "lenet5" / "config.yaml"))
        data = instantiate(config["data"]["module"], _convert_="all")
        for index in range(20):
            data.image("test", index).save(project / f"{index}.png")
        found = json_of(capsys, *[f"{i}.png" for i in range(20)], "--model", "runs/lenet5", "--top", 10)
        assert [photo["path"] for photo in found] == [f"{i}.png" for i in range(20)]
        for photo, expected in zip(found, stored["probabilities"], strict=False):
            given = {each["class"]: each["probability"] for each in photo["classes"]}
            assert [given[str(digit)] for digit in range(10)] == pytest.approx(expected.tolist(), abs=2e-6)
            assert list(given.values()) == sorted(given.values(), reverse=True)

    @pytest.mark.parametrize("kind", ["head", "finetuned"])
    def test_a_network_on_photos_as_evaluated(self, project, photos, capsys, kind):
        data = "patches" if kind == "head" else "patches_pixels"
        words = [f"data={data}", *SMALL_BACKBONE, "logger=none", "trainer.max_epochs=3", f"name={kind}"]
        if kind == "head":
            assert features.run(words[:4]) == 0
        experiment = "patches_linear_head" if kind == "head" else "flowers_finetune"
        assert train.run([f"experiment={experiment}", *words]) == 0
        run_dir = project / "runs" / kind
        evaluate(run_dir)
        stored = np.load(run_dir / "predictions.npz")
        found = json_of(capsys, *photos, "--model", kind)
        given = np.array(
            [sorted((each["class"], each["probability"]) for each in p["classes"]) for p in found]
        )
        by_photo = given[:, :, 1].astype(float)  # china, flower
        for expected in stored["probabilities"]:  # those of the test photos are among all
            assert np.abs(by_photo - expected).max(axis=1).min() < 2e-6
        assert len(stored["labels"]) > 20

    def test_a_head_needs_the_weights_it_was_trained_with(self, project):
        words = ["data=patches", *SMALL_BACKBONE]
        assert features.run(words) == 0
        assert (
            train.run(["experiment=patches_linear_head", *words, "logger=none", "trainer.max_epochs=1"]) == 0
        )
        run_dir = project / "runs" / "patches_linear_head"
        found = model_file.read(run_dir / "model")
        found.lineage["backbone_hash"] = "0" * 64
        found.write(run_dir / "model")
        with pytest.raises(ConvlabError, match=r"vectors of other weights .*begins with 00000000"):
            network_predictor.of_run(Run(run_dir))


class TestWholeNetworks:
    @pytest.fixture
    def published(self, project):
        """A whole network of random weights, and where its file is."""
        torch.manual_seed(3)
        network = timm.create_model(SMALL, num_classes=1000).eval()
        torch.nn.init.normal_(network.fc.weight)
        path = project / "weights" / "small" / "model.safetensors"
        path.parent.mkdir(parents=True)
        save_file(network.state_dict(), path)
        return network, "weights/small/model.safetensors"

    def test_the_thousand_classes_as_timm_has_them(self, published, photos):
        network, path = published
        predictor = network_predictor.of_backbone(settings(architecture=SMALL, weights=path))
        assert len(predictor.classes) == 1000
        assert [predictor.classes[i] for i in (0, 207, 985)] == [
            "tench, Tinca tinca",
            "golden retriever",
            "daisy",
        ]
        images = []
        for photo in photos[:5]:
            with Image.open(photo) as image:
                small = image.convert("RGB").resize((32, 32), Image.Resampling.BILINEAR)
            images.append((torch.from_numpy(np.array(small)).permute(2, 0, 1).float() - 128) / 128)
        with torch.no_grad():
            expected = network(torch.stack(images)).softmax(1)
        np.testing.assert_allclose(predictor(photos[:5]), expected, rtol=1.3e-6, atol=1e-5)

    def test_on_the_command_line(self, project, published, photos, capsys):
        _, path = published
        text = (project / "conf" / "backbone" / "resnet18_random.yaml").read_text()
        text = text.replace("resnet18_random", "small").replace(
            "architecture: resnet18", f"architecture: {SMALL}"
        )
        (project / "conf" / "backbone" / "small.yaml").write_text(
            text.replace("weights: null", f"weights: {path}")
        )
        found = json_of(capsys, photos[0], "--model", "small", "--top", 3)
        assert [len(photo["classes"]) for photo in found] == [3]
        assert predict.run([str(photos[0]), "--model", "small", "--top", "2"]) == 0
        first, second = capsys.readouterr().out.splitlines()
        assert first.split() == [
            str(photos[0]),
            f"{found[0]['classes'][0]['probability']:.1%}",
            *found[0]["classes"][0]["class"].split(),
        ]
        assert found[0]["classes"][1]["class"] in second

    def test_a_file_without_classifier_is_named(self, project, published):
        _, path = published
        state = Backbone("b", SMALL).model.state_dict()
        save_file(state, project / path)
        with pytest.raises(ConvlabError) as error:
            network_predictor.of_backbone(settings(architecture=SMALL, weights=path))
        for words in (path, "holds no classifier (fc.bias, fc.weight)", "predict with a run"):
            assert words in str(error.value)
        save_file(state | {"fc.weight": torch.zeros(7, 96), "fc.bias": torch.zeros(7)}, project / path)
        with pytest.raises(ConvlabError, match=r"fc\.weight is \(7, 96\), expected \(1000, 96\)"):
            network_predictor.of_backbone(settings(architecture=SMALL, weights=path))

    def test_random_weights_know_no_classes(self, project):
        with pytest.raises(ConvlabError, match="random weights, which know no classes"):
            network_predictor.of_backbone(settings(architecture=SMALL, weights=None))

    @pytest.mark.slow
    def test_inception_with_its_classes(self, project, photos):
        torch.manual_seed(0)
        network = timm.create_model("inception_v3", num_classes=1000).eval()
        path = project / "weights" / "model.safetensors"
        path.parent.mkdir()
        save_file(network.state_dict(), path)
        values = {**settings()["preprocessing"], "size": 299}
        predictor = network_predictor.of_backbone(
            settings(architecture="inception_v3", weights="weights/model.safetensors", preprocessing=values)
        )
        pixels = torch.from_numpy(np.stack([predictor.pixels(photo) for photo in photos[:2]]))
        images = predictor.preprocessing.normalize(pixels)
        with torch.no_grad():
            expected = network(images).softmax(1)
        np.testing.assert_allclose(predictor(photos[:2]), expected, rtol=1.3e-6, atol=1e-5)


class TestMany:
    """Photos from anywhere, by a network on vectors."""

    @pytest.fixture(autouse=True)
    def _head(self, project, trained):
        copy_runs(trained, project, "head")

    def test_a_folder_an_address_and_standard_input_give_the_same(
        self, project, photos, site, monkeypatch, capsys
    ):
        content = photos[0].read_bytes()
        (project / "folder").mkdir()
        (project / "folder" / "a.jpg").write_bytes(content)
        site.files["a.jpg"] = content
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        found = json_of(
            capsys, photos[0], "folder", "fold*/*.jpg", f"{site.url}/a.jpg", "-", "--model", "head"
        )
        assert [each["path"] for each in found] == [
            *(str(photos[0]), "folder/a.jpg", "folder/a.jpg", f"{site.url}/a.jpg", "standard input"),
        ]
        assert all(each["classes"] == found[0]["classes"] for each in found)

    def test_what_a_folder_holds_besides_photos_is_said(self, project, photos, capsys):
        folder = project / "folder"
        (folder / "@eaDir" / "a.jpg").mkdir(parents=True)
        (folder / "@eaDir" / "a.jpg" / "THUMB.jpg").write_bytes(b"a thumbnail")
        for name in ("a.jpg", "b.JFIF"):
            (folder / name).write_bytes(photos[0].read_bytes())
        for name in ("c.heic", "d.HEIC", "notes.txt"):
            (folder / name).write_bytes(b"no photo")
        assert predict.run(["folder", "--model", "head", "--json"]) == 0
        printed = capsys.readouterr()
        assert [each["path"] for each in json.loads(printed.out)] == ["folder/a.jpg", "folder/b.JFIF"]
        assert printed.err == (
            "convlab predict: folder: left out, not of a known image type: 2 .heic, 1 .txt "
            "(HEIC can't be read: save them as JPEG)\n"
        )

    def test_bytes_that_are_no_image_are_named_by_where_they_came_from(
        self, photos, site, monkeypatch, capsys
    ):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"<html>")))
        site.files["page"] = b"<html>"
        words = ["-", f"{site.url}/page", f"{site.url}/none.jpg", str(photos[0]), "--csv", "--model", "head"]
        assert predict.run(words) == 1
        printed = capsys.readouterr()
        unknown = "not an image of a known kind (JPEG, PNG, BMP, GIF, WEBP, TIFF)"
        assert len(printed.out.splitlines()) == 2
        assert printed.err.splitlines() == [
            f"convlab predict: standard input: {unknown}",
            f"convlab predict: {site.url}/page: {unknown}",
            f"convlab predict: {site.url}/none.jpg: the server answered 404 Not Found",
        ]

    def test_csv_has_a_line_a_photo(self, project, photos, capsys):
        words = [*map(str, photos[:40]), "--model", "head"]
        found = json_of(capsys, *words)
        assert predict.run([*words, "--csv"]) == 0
        lines = list(csv.reader(io.StringIO(capsys.readouterr().out)))
        assert lines[0] == ["path", "class_1", "probability_1", "class_2", "probability_2"]
        assert len(lines) == 41
        for line, photo in zip(lines[1:], found, strict=True):
            first, second = photo["classes"]
            assert line[0] == photo["path"]
            assert (line[1], float(line[2])) == (first["class"], first["probability"])
            assert (line[3], float(line[4])) == (second["class"], second["probability"])

    def test_none_that_can_be_read(self, project, capsys):
        assert predict.run(["nothing.jpg", "--model", "head", "--csv"]) == 1
        printed = capsys.readouterr()
        assert printed.out == "path\n"
        assert printed.err == "convlab predict: nothing.jpg: there is no such file\n"

    def test_a_sheet_shows_each_photo_and_its_classes(self, project, capsys):
        """Read back from the page: the thumbnails' pixels, the names, the classes, their probabilities."""
        Image.new("RGB", (1000, 500), "red").save(project / "<red> & wide.png")
        Image.new("L", (28, 28), 200).save(project / "small.png")
        words = ["<red> & wide.png", "small.png", "--model", "head", "--top", "1"]
        found = json_of(capsys, *words, "--sheet", "out.html")
        page = (project / "out.html").read_text()
        assert "<red>" not in page
        assert re.findall(r"(?:src|href)=\"(?!data:)", page) == []
        data = json.loads(re.search(r'id="browser-data">(.*?)</script>', page).group(1))
        ((images,), (answers,)) = data["sets"], data["models"]
        assert data["root"] == "./"
        paths = images["paths"]
        assert [paths["before"] + rest for rest in paths["rest"]] == ["<red> & wide.png", "small.png"]
        thumbnails = []
        for address in images["pictures"]["embedded"]:
            encoded = address.removeprefix("data:image/jpeg;base64,")
            with Image.open(io.BytesIO(base64.b64decode(encoded))) as image:
                thumbnails.append((image.size, image.mode, image.convert("RGB").getpixel((5, 5))))
        assert [(size, mode) for size, mode, _ in thumbnails] == [((320, 160), "RGB"), ((28, 28), "L")]
        assert np.abs(np.array([pixel for _, _, pixel in thumbnails]) - [[255, 0, 0], [200] * 3]).max() < 4
        best = np.frombuffer(base64.b64decode(answers["best"]), "<u2")
        shares = np.frombuffer(base64.b64decode(answers["probabilities"]), "<f4")
        assert [images["classes"][each] for each in best] == [each["classes"][0]["class"] for each in found]
        assert shares == pytest.approx([each["classes"][0]["probability"] for each in found], abs=1e-6)
        assert images["labels"] is None

    def test_a_sheet_of_nothing_is_a_page(self, project):
        assert predict.run(["nothing.jpg", "--model", "head", "--sheet", "out.html"]) == 1
        assert "0 photos" in (project / "out.html").read_text()


def test_a_colour_photo_is_grey_for_a_network_of_digits(project, trained, capsys):
    """0.299 red + 0.587 green + 0.114 blue (ITU-R 601), so that its grey copy is predicted the same."""
    copy_runs(trained, project, "lenet5")
    colour = np.random.default_rng(0).integers(0, 256, (28, 28, 3), dtype=np.uint8)
    Image.fromarray(colour).save(project / "colour.png")
    grey = (colour @ [0.299, 0.587, 0.114]).round().astype(np.uint8)
    Image.fromarray(grey).save(project / "grey.png")
    assert predict.run(["colour.png", "grey.png", "--model", "lenet5", "--json"]) == 0
    printed = capsys.readouterr()
    first, second = json.loads(printed.out)
    assert [each["class"] for each in first["classes"]] == [each["class"] for each in second["classes"]]
    for one, other in zip(first["classes"], second["classes"], strict=True):
        assert one["probability"] == pytest.approx(other["probability"], abs=0.02)  # Pillow rounds otherwise
    assert printed.err == ("convlab predict: 1 in colour, predicted in grey: the model is made for that\n")


class TestMistakes:
    def test_a_broken_photo_does_not_stop_the_others(self, project, photos, capsys):
        words = ["experiment=patches_linear_head", "data=patches", *SMALL_BACKBONE]
        assert features.run(words[1:]) == 0
        assert train.run([*words, "logger=none", "trainer.max_epochs=1"]) == 0
        (project / "torn.jpg").write_bytes(b"no picture")
        capsys.readouterr()
        status = predict.run(["torn.jpg", str(photos[0]), "--model", "patches_linear_head", "--json"])
        printed = capsys.readouterr()
        assert status == 1
        assert "torn.jpg: not an image of a known kind" in printed.err
        assert [each["path"] for each in json.loads(printed.out)] == [str(photos[0])]

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ([], "which photo"),
            (["a.jpg", "--top", "0"], "--top 0"),
            (["a.jpg", "--json", "--csv"], "choose one of the two"),
            (["a.jpg", "--sheet", "no/where.html"], "--sheet no/where.html: there is no folder no"),
            (
                ["a.jpg", "--model", "nothing"],
                "--model nothing: there is no run 'nothing'.*Backbones: inception_v3",
            ),
            (["a.jpg"], "there are no weights .*convlab fetch inception_v3"),
        ],
    )
    def test_are_explained(self, project, words, message):
        with pytest.raises(ConvlabError, match=message):
            predict.run(words)
