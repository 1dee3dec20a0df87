"""`convlab promote`: a worse model is refused in words, a better one becomes champion."""

import csv
import json
import re
import shutil

import numpy as np
import pytest
import yaml
from sample_runs import copy_runs, train_head

from convlab.base.errors import ConvlabError
from convlab.base.files import write_json
from convlab.cli.commands import predict, promote
from convlab.data.mnist import Mnist
from convlab.data.preprocessing import Preprocessing
from convlab.prediction import complete_model
from convlab.promotion.calibration import error_by_chance
from convlab.runs import champions
from convlab.runs.run import Run
from convlab.tracking import mlflow_runs, store

PIXELS = Preprocessing(size=28, channels=1, pixel_mean=(0,), pixel_std=(1,))


def copied(project, trained, *names):
    copy_runs(trained, project, *names)
    (project / "features").symlink_to(trained / "features")


def test_predict_takes_the_champion_and_its_directory_anywhere(project, trained, capsys):
    copied(project, trained, "lenet5")
    assert promote.run(["lenet5"]) == 0
    Mnist(project / "data" / "digits", PIXELS, 1).image("test", 0).save(project / "digit.png")
    shutil.copytree(champions.champion("digits").directory, project / "moved")
    capsys.readouterr()
    said = []
    for model in ("champion", "champion/digits", "moved", "lenet5"):
        assert predict.run(["digit.png", "--model", model, "--json"]) == 0
        said.append(json.loads(capsys.readouterr().out))
    assert all(each == said[0] for each in said)
    probabilities = np.load(project / "runs/lenet5/predictions.npz")["probabilities"][0]
    assert said[0][0]["classes"][0]["probability"] == pytest.approx(probabilities.max(), abs=1e-5)
    with pytest.raises(ConvlabError, match="no champion on 'patches'"):
        predict.run(["digit.png", "--model", "champion/patches"])


def version(data):
    return store.client().get_model_version_by_alias(f"convlab-{data}", "champion")


def evaluated(run_dir):
    """Labels n and probabilities n k of the test split."""
    with np.load(run_dir / "predictions.npz") as arrays:
        return arrays["labels"], arrays["probabilities"]


def files_of(directory):
    return {path.relative_to(directory): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_a_worse_model_is_refused_and_a_better_one_accepted(project, trained, capsys):
    copied(project, trained, "weak", "middling", "lenet5")
    with pytest.raises(ConvlabError) as refused:
        promote.run(["weak"])
    measured = json.loads((project / "runs/weak/metrics.json").read_text())
    accuracy, low, ece, number = (measured["test"][k] for k in ("acc", "acc_low", "ece", "num_images"))
    classes = sorted((each["acc"], each["num_images"], name) for name, each in measured["per_class"].items())
    chance = error_by_chance(np.load(project / "runs/weak/predictions.npz")["probabilities"])
    named = ", ".join(f"{name} {right:.2%} of {images}" for right, images, name in classes if right < 0.5)
    assert str(refused.value) == (
        f"weak does not become champion of digits: "
        f"accuracy {accuracy:.2%} of {number} images may be as low as {low:.2%}, "
        f"{80 - 100 * low:.2f} points below the 80.00% required; "
        f"below the 50.00% required of each class: {named}; "
        f"calibration error {ece:.2%}, of which chance explains {chance:.2%}, is "
        f"{100 * (ece - chance) - 10:.2f} points above the 10.00% required."
    )
    assert not (project / "champions").exists()
    assert store.client().search_registered_models() == []

    assert promote.run(["middling"]) == 0
    assert (champions.champion().run, version("digits").version) == ("middling", 1)
    assert promote.run(["lenet5"]) == 0
    assert [champion.run for champion in champions.history("digits")] == ["middling", "lenet5"]
    assert version("digits").tags["run"] == "lenet5"
    printed = capsys.readouterr().out
    assert "passed  not worse than middling: +" in printed
    assert "Complete model and its card: champions/digits/2\n" in printed

    labels, better = evaluated(project / "runs" / "lenet5")
    _, worse = evaluated(project / "runs" / "middling")
    right, right_worse = better.argmax(1) == labels, worse.argmax(1) == labels
    only_better, only_worse = (right & ~right_worse).sum(), (~right & right_worse).sum()
    with pytest.raises(ConvlabError) as refused:
        promote.run(["middling"])
    loss = 100 * (right.mean() - right_worse.mean())
    assert re.fullmatch(
        rf"middling does not become champion of digits: accuracy is {loss:.2f} points below the champion "
        rf"lenet5's, significantly at alpha = 0.05 \(p \S+ \S+: {only_worse} images only the candidate gets "
        rf"right, {only_better} only the champion\)\.",
        str(refused.value),
    )
    assert champions.champion("digits").run == "lenet5"
    assert version("digits").tags["run"] == "lenet5"


def test_near_duplicates_are_said_before(project, trained, capsys):
    copied(project, trained, "lenet5")
    path = project / "runs" / "lenet5" / "metrics.json"
    leak = {"number": 7, "example": ["a/1.jpg", "a/2.jpg"]}
    write_json(path, json.loads(path.read_text()) | {"leak": leak})
    assert promote.run(["lenet5"]) == 0
    first, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith(
        "warning: test photos that look like one trained on: 7, for instance a/1.jpg like a/2.jpg"
    )


def test_latency_is_measured_now(project, trained):
    copied(project, trained, "lenet5")
    path = project / "conf" / "gate.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"max_latency_ms": 0.001}))
    with pytest.raises(ConvlabError, match=r"digits: latency \d+\.\d ms is \d+\.\d ms above the 0\.001 ms"):
        promote.run(["lenet5"])


def test_a_version_is_registered_whole(project, trained):
    copied(project, trained, "lenet5")
    run_id = mlflow_runs.start("convlab", "lenet5", {})
    Run(project / "runs" / "lenet5").update_state(mlflow={"experiment": "convlab", "run_id": run_id})
    assert promote.run(["lenet5"]) == 0
    directory = champions.champion("digits").directory
    assert {path.name for path in directory.iterdir()} == {
        *("model.json", "raw.safetensors", "model.onnx", "README.md"),
        *("gate.json", "metrics.json", "predictions.npz"),
    }
    found = version("digits")
    lineage = json.loads((directory / "metrics.json").read_text())["lineage"]
    for tag in ("weights_hash", "data_hash", "config_hash"):
        assert found.tags[tag] == lineage[tag]
    assert (found.run_id, found.description) == (run_id, (directory / "README.md").read_text())
    assert found.description.startswith("# lenet5: digits\n")
    (output,) = store.client().get_run(run_id).outputs.model_outputs
    assert found.source == f"models:/{output.model_id}"

    stored = project / "mlartifacts" / "convlab" / "models" / output.model_id / "artifacts"
    assert files_of(stored / "data" / "model") == files_of(directory)
    names = {path.suffix for path in files_of(stored)}
    assert names.isdisjoint({".pkl", ".pickle", ".pt", ".pth", ".ckpt"})
    model = yaml.safe_load((stored / "MLmodel").read_text())
    flavor = model["flavors"]["python_function"]
    assert list(model["flavors"]) == ["python_function"]
    assert (flavor["loader_module"], flavor.get("python_model")) == ("convlab.prediction.pyfunc", None)
    assert json.loads(model["signature"]["inputs"]) == [{"type": "binary", "name": "image", "required": True}]
    assert "torch==2.13.0" in (stored / "requirements.txt").read_text().splitlines()


class TestBest:
    def test_it_is_the_most_accurate_of_its_data_set(self, project, trained):
        copied(project, trained, "weak", "middling", "lenet5", "head")
        with pytest.raises(ConvlabError, match=r"runs are on digits, patches\. Say which with --data"):
            promote.run(["best"])
        assert promote.run(["best", "--data", "digits"]) == 0
        champion = champions.champion("digits")
        assert champion.run == "lenet5"
        assert "most accurate of 3 runs" in (champion.directory / "README.md").read_text()

    def test_it_needs_comparable_runs(self, project, trained):
        copied(project, trained, "middling", "lenet5")
        path = project / "runs" / "lenet5" / "metrics.json"
        metrics = json.loads(path.read_text())
        metrics["lineage"]["data_hash"] = "0" * 64
        path.write_text(json.dumps(metrics))
        with pytest.raises(ConvlabError, match=r"digits changed between the trainings.*lenet5, middling"):
            promote.run(["best"])
        assert promote.run(["middling"]) == 0
        assert promote.run(["best"]) == 0  # of those on the champion's data: itself
        assert len(champions.history("digits")) == 1


def test_the_champion_again_changes_nothing_but_a_lost_alias(project, trained, capsys):
    copied(project, trained, "lenet5")
    assert promote.run(["lenet5"]) == 0
    before = files_of(project / "champions")
    store.client().delete_registered_model_alias("convlab-digits", "champion")
    assert promote.run(["lenet5"]) == 0
    assert "lenet5 is already the champion of digits: convlab-digits, version 1" in capsys.readouterr().out
    assert files_of(project / "champions") == before
    assert version("digits").version == 1


def test_without_the_registry_nothing_changes(project, trained, monkeypatch):
    copied(project, trained, "middling", "lenet5")
    assert promote.run(["middling"]) == 0
    before = files_of(project / "champions")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(
        ConvlabError, match=r"registry at http://127\.0\.0\.1:9 could not take .*nothing has changed"
    ):
        promote.run(["lenet5"])
    assert files_of(project / "champions") == before


def test_a_stop_before_the_record_is_mended_by_the_same_command(project, trained, monkeypatch):
    copied(project, trained, "middling", "lenet5")
    assert promote.run(["middling"]) == 0
    with monkeypatch.context() as patch:
        patch.setattr(champions, "advance", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            promote.run(["lenet5"])
    assert (champions.champion("digits").run, version("digits").tags["run"]) == ("middling", "lenet5")
    assert promote.run(["lenet5"]) == 0
    champion = champions.champion("digits")
    assert (champion.run, champion.number, version("digits").tags["run"]) == ("lenet5", 2, "lenet5")
    assert version("digits").description == (champion.directory / "README.md").read_text()


@pytest.mark.slow
def test_after_a_change_of_the_data_the_champion_is_measured_anew(project, capsys):
    """The photos of the second head are 80 more: the first one predicts those that are tests now."""
    whole = sorted((project / "data" / "patches").rglob("*.jpg"))
    for number, part in (("first", whole[::3]), ("second", whole)):
        for photo in part:
            target = project / "photos" / photo.parent.name / photo.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(photo, target)
        train_head(number, "data.dir=photos", "data.split.test=0.4", epochs=60)
    (project / "conf" / "gate.yaml").write_text(
        "{min_images: 9, min_accuracy: 0, min_class_accuracy: 0, max_calibration_error: 1, alpha: 0}"
    )
    assert promote.run(["first"]) == 0
    first = complete_model.load(champions.champion("patches").directory)
    assert promote.run(["second"]) == 0
    labels, probabilities = evaluated(project / "runs" / "second")
    (folder,) = (project / "features" / "patches").iterdir()
    with (folder / "index.csv").open(newline="") as file:
        tests = [project / "photos" / row["path"] for row in csv.DictReader(file) if row["split"] == "test"]
    assert len(tests) == len(labels) > len(evaluated(project / "runs" / "first")[0])
    right, right_first = probabilities.argmax(1) == labels, first(tests).argmax(1) == labels
    gained, lost = (right & ~right_first).sum(), (~right & right_first).sum()
    assert (
        f"({gained} images only the candidate gets right, {lost} only the champion)"
        in capsys.readouterr().out
    )


def test_an_evaluation_on_other_data_does_not_count_though_its_labels_agree(project, trained, capsys):
    copied(project, trained, "middling", "lenet5")
    assert promote.run(["middling"]) == 0
    directory = champions.champion("digits").directory
    metrics = json.loads((directory / "metrics.json").read_text())
    metrics["lineage"]["data_hash"] = "0" * 64
    write_json(directory / "metrics.json", metrics)
    labels, champion = evaluated(directory)
    np.savez(directory / "predictions.npz", labels=labels, probabilities=np.zeros_like(champion))
    assert promote.run(["lenet5"]) == 0
    right = evaluated(project / "runs" / "lenet5")[1].argmax(1) == labels
    right_champion = champion.argmax(1) == labels
    gained, lost = (right & ~right_champion).sum(), (~right & right_champion).sum()
    assert (
        f"({gained} images only the candidate gets right, {lost} only the champion)"
        in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "which run"),
        (["a", "b"], "which run"),
        (["nothing"], "there is no run 'nothing'"),
        (["best"], "nothing to compare"),
    ],
)
def test_mistakes_are_explained(project, words, message):
    with pytest.raises(ConvlabError, match=message):
        promote.run(words)


def test_an_old_evaluation_is_not_trusted(project, trained):
    copied(project, trained, "lenet5")
    shutil.rmtree(project / "runs" / "lenet5" / "model")
    shutil.copytree(trained / "runs" / "middling" / "model", project / "runs" / "lenet5" / "model")
    with pytest.raises(
        ConvlabError, match=r"lenet5 has not been evaluated as it is now\. `convlab evaluate lenet5`"
    ):
        promote.run(["lenet5"])
    with pytest.raises(ConvlabError, match=r"--data flowers: lenet5 was trained on digits"):
        promote.run(["lenet5", "--data", "flowers"])
