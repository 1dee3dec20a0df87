"""The short form of a run that MLflow shows."""

import json

from convlab.base import config
from convlab.runs.run import Run
from convlab.tracking.run_page import note, parameters


def composed(*overrides):
    return config.plain(config.compose("train", [*overrides]))


def test_parameters_are_the_settings_that_runs_differ_in(project):
    assert parameters(composed("experiment=digits_fully_connected", "seed=3")) == {
        "model": "FullyConnected",
        "model.hidden": "500",
        "data": "digits",
        "optimizer": "SGD",
        "optimizer.momentum": "0.9",
        "optimizer.nesterov": "True",
        "optimizer.weight_decay": "0.0",
        "lr": "0.05",
        "schedule": "OneCycleLR",
        "epochs": "6",
        "batch_size": "32",
        "seed": "3",
        "loss": "CrossEntropyLoss",
        "loss.label_smoothing": "0.0",
    }
    head = parameters(composed("experiment=linear_head", "averaging.decay=0.99", "scheduler=constant"))
    assert (head["backbone"], head["averaging.decay"]) == ("inception_v3", "0.99")
    assert (head["schedule"], head["optimizer"]) == ("constant", "AdamW")
    assert "backbone_lr" not in head
    steps = parameters(composed("experiment=lenet_tf1"))["steps"]
    assert steps == "50000"


def test_a_note_says_the_result_the_data_and_how_to_repeat_it(tmp_path):
    directory = tmp_path / "one"
    lineage = {"data_hash": "0123456789abcdef", "substitutes": ["a.zip is a subset of 9 images"]}
    card = {"format": 1, "model": {}, "epoch": 7, "selected": "averaged", "lineage": lineage}
    (directory / "model").mkdir(parents=True)
    (directory / "model" / "model.json").write_text(json.dumps(card))
    settings = {"name": "one", "data": {"name": "toys", "module": {"dir": "data/toys"}}}
    assert "Trained: weights of epoch 7." in note(Run(directory), settings)
    Run(directory).update_state(
        seconds=3690.4, git_commit="c0ffee", git_dirty=True, command="convlab train seed=2"
    )
    test = {"acc": 0.875, "acc_low": 0.5, "acc_high": 0.96875, "num_images": 1234, "loss": 0.5, "ece": 0.0625}
    assert note(Run(directory), settings, {"test": test}) == (
        "**Test accuracy 87.50 %** (95 % interval 50.00 to 96.88 %) on 1,234 images, loss 0.5000, "
        "calibration error 6.25 %; weights of epoch 7 (averaged). Training took 1 h 1 min. "
        "To repeat it:\n\n```bash\n"
        "git checkout c0ffee   # and what was not committed then\n"
        "convlab train seed=2\n"
        f"convlab evaluate {directory}\n```\n\n"
        "**Data:** `toys` in `data/toys`, content `0123456789ab`.\n\n"
        "**Substitute:** a.zip is a subset of 9 images."
    )
    Run(directory).update_state(seconds=89.6)
    assert " Training took 1 min 30 s. " in note(Run(directory), settings)
