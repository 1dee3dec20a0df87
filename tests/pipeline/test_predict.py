"""`convlab predict` gives the numbers that evaluation measured, and ImageNet's classes by whole networks."""

import json

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from convlab import prediction, runs
from convlab.bottleneck.backbone import Backbone
from convlab.errors import ConvlabError
from convlab.evaluation import evaluate
from convlab.pipeline import features, predict, train
from convlab.preprocessing import Preprocessing

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
        card = runs.read_card(run_dir / "model")
        card["lineage"]["backbone_hash"] = "0" * 64
        runs.write_json(run_dir / "model" / "model.json", card)
        with pytest.raises(ConvlabError, match=r"vectors of other weights .*begins with 00000000"):
            prediction.of_run(run_dir)


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
        predictor = prediction.of_backbone(settings(architecture=SMALL, weights=path))
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
        torch.testing.assert_close(predictor(photos[:5]), expected)

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
            prediction.of_backbone(settings(architecture=SMALL, weights=path))
        for words in (path, "holds no classifier (fc.bias, fc.weight)", "predict with a run"):
            assert words in str(error.value)
        save_file(state | {"fc.weight": torch.zeros(7, 96), "fc.bias": torch.zeros(7)}, project / path)
        with pytest.raises(ConvlabError, match=r"fc\.weight is \(7, 96\), expected \(1000, 96\)"):
            prediction.of_backbone(settings(architecture=SMALL, weights=path))

    def test_random_weights_know_no_classes(self, project):
        with pytest.raises(ConvlabError, match="random weights, which know no classes"):
            prediction.of_backbone(settings(architecture=SMALL, weights=None))

    @pytest.mark.slow
    def test_inception_with_its_classes(self, project, photos):
        torch.manual_seed(0)
        network = timm.create_model("inception_v3", num_classes=1000).eval()
        path = project / "weights" / "model.safetensors"
        path.parent.mkdir()
        save_file(network.state_dict(), path)
        values = {**settings()["preprocessing"], "size": 299}
        predictor = prediction.of_backbone(
            settings(architecture="inception_v3", weights="weights/model.safetensors", preprocessing=values)
        )
        images = predictor.preprocessing.normalize(torch.stack([predictor.pixels(p) for p in photos[:2]]))
        with torch.no_grad():
            torch.testing.assert_close(predictor(photos[:2]), network(images).softmax(1))


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
