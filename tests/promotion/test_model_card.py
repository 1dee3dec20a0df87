"""The model card of a run small enough to work out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from convlab.data.preprocessing import Preprocessing
from convlab.promotion.gate import Condition
from convlab.promotion.model_card import Licences, markdown
from convlab.runs.model_file import ModelFile
from convlab.runs.run import Run

TERMS = {"data": {"toys": "CC0"}, "backbone": {"net": "MIT"}}


@pytest.fixture
def model():
    preprocessing = Preprocessing(size=8, channels=3, pixel_mean=(0,), pixel_std=(1,))
    return ModelFile(
        {"_target_": "convlab.models.heads.LinearHead"},
        name="first",
        classes=["ant", "bee|wasp", "cat"],
        input_shape=[12],
        backbone={"name": "net"},
        preprocessing=preprocessing.to_dict(),
        epoch=3,
    )


@pytest.fixture
def run(tmp_path):
    """Six test images: both ants found, one bee taken for an ant, one cat for a bee, one for an ant."""
    labels, answers = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 0, 1, 0, 1, 0])
    np.savez(tmp_path / "predictions.npz", labels=labels, probabilities=np.eye(3)[answers])
    test = {"num_images": 6, "acc": 0.5, "acc_low": 0.1876, "acc_high": 0.8124, "loss": 1.25, "ece": 0.0625}
    metrics = {
        "data": "toys",
        "model": "LinearHead",
        "num_parameters": 1234,
        "test": test,
        "val": {"acc": 0.75},
        "per_class": {"ant": {}, "bee|wasp": {}, "cat": {}},
        "lineage": {"data_hash": "da7a", "weights_hash": "beef", "substitutes": []},
    }
    found = Run(tmp_path, "first")
    vars(found)["metrics"] = metrics
    return found


def lines(run, model, chosen_from=1, terms=TERMS):
    conditions = [Condition("latency", "1.0 ms", "at most 5 ms", True, "")]
    licences = Licences.of(terms, run.data, model.backbone)
    return markdown(run, model, conditions, licences, chosen_from).splitlines()


def test_it_tells_data_metrics_and_gate(run, model):
    text = lines(run, model)
    assert text[0] == "# first: toys"
    for line in (
        "- data_hash: `da7a`",
        "- weights_hash: `beef`",
        "| accuracy | 50.00% |",
        "| 95 % interval (Wilson) | 18.76% to 81.24% |",
        "| cross-entropy | 1.2500 |",
        "| calibration error (15 bins) | 6.25% |",
        "| latency | 1.0 ms | at most 5 ms |",
        "- Validation images, with the weights of epoch 3: 75.00% right",
    ):
        assert line in text
    assert "`LinearHead`, 1,234 parameters on vectors of net, 3 classes." in " ".join(text)


def test_recall_and_precision_by_class(run, model):
    text = lines(run, model)
    assert "| ant | 2 | 100.00% | 50.00% |" in text  # two of four answers
    assert r"| bee\|wasp | 2 | 50.00% | 50.00% |" in text
    assert "| cat | 2 | 0.00% | never said |" in text
    assert "- Weakest class: cat, of whose 2 test images it finds 0.00%." in text


def test_limits_follow_the_case(run, model):
    few, chosen = (
        "- 6 test images are few",
        "- It was chosen as the most accurate of 4 runs on this very test split",
    )
    substituted = "- Substitutes took the place of published data or weights"

    def limits(**more):
        text = "\n".join(lines(run, model, **more))
        return [words for words in (few, chosen, substituted) if words in text]

    assert limits() == [few]
    assert limits(chosen_from=4) == [few, chosen]
    run.metrics["lineage"]["substitutes"] = ["photos.tgz: a half"]
    assert limits() == [few, substituted]
    assert "- photos.tgz: a half" in lines(run, model)
    assert "None: data and weights are the published ones, or your own." not in lines(run, model)


def test_licences(run, model):
    text = lines(run, model)
    assert "- Data: CC0" in text
    assert "- Published weights: MIT" in text
    model = replace(model, backbone={"name": "none"})
    assert "- Published weights: none, it was trained from random numbers" in lines(run, model)


def test_unknown_terms_are_stated(run, model):
    text = lines(run, model, terms={})
    assert (
        "- Data: unknown: conf/licences.yaml does not list toys. Find out before you pass the model on."
        in text
    )
    assert any(line.startswith("- Published weights: unknown: ") for line in text)
