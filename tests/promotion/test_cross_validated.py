"""A cross-validation judged in place of the test images."""

import json

import numpy as np
import pytest

from convlab.base.errors import ConvlabError
from convlab.cli.commands import cv, promote, train
from convlab.promotion import cross_validated
from convlab.promotion.evidence import Calibration
from convlab.promotion.gate import Gate, judge
from convlab.runs.run import Run

TINY = ["experiment=digits_fully_connected", "trainer.max_epochs=1", "logger=none"]


def test_its_folds_are_judged_if_they_are_of_the_run_s_experiment(project):
    assert cv.run([*TINY, "model.hidden=4", "folds=2", "seeds=1,2", "name=tiny_cv"]) == 0
    assert train.run([*TINY, "model.hidden=4", "seed=3", "name=tiny", "evaluate=true"]) == 0
    assert train.run([*TINY, "model.hidden=5", "name=other", "evaluate=true"]) == 0

    answers = cross_validated.answers("tiny_cv", Run.find("tiny"))
    result = json.loads((project / "sweeps/tiny_cv/cv.json").read_text())
    assert answers.num_images == 1297  # the sample's training and validation images
    assert answers.accuracy == result["acc"]["mean"]
    assert answers.interval == (result["acc"]["low"], result["acc"]["high"])
    right = 0
    for fold in (1, 2):
        arrays = np.load(project / f"sweeps/tiny_cv/fold-{fold}_seed-1/predictions.npz")
        right += int((arrays["probabilities"].argmax(1) == arrays["labels"]).sum())
    assert answers.counts.trace() == right

    conditions = judge(Gate(15, 0.8, 0, 0.5, 0.05, 0.1, 1000), answers, Calibration(0.0, 0.0), 1.0, None)
    assert (conditions[0].name, conditions[0].found) == ("images", "1,297 in 2 folds")
    assert conditions[1].found.startswith(f"{result['acc']['mean']:.2%}, 95 % interval")

    with pytest.raises(ConvlabError, match=r"tiny_cv: .* model\.hidden is 4 there, 5 in other\."):
        promote.run(["other", "--cv", "tiny_cv"])
    with pytest.raises(ConvlabError, match="--cv nix: there is no such cross-validation"):
        promote.run(["tiny", "--cv", "nix"])
    with pytest.raises(ConvlabError, match=r"accuracy \d+\.\d\d% of 1,297 images may be as low as"):
        promote.run(["tiny", "--cv", "tiny_cv"])
