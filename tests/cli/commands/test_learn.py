"""One command from a folder to a judged model: what it does, keeps, and refuses."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from sample_runs import SMALL_BACKBONE

from convlab.base.errors import ConvlabError
from convlab.cli.commands import learn, train
from convlab.runs.run import Run

WORDS = [*SMALL_BACKBONE, "logger=none", "trainer.max_epochs=4"]
COLOURS = {"red": (210, 40, 50), "grün": (40, 200, 60)}


def put(folder, numbers):
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in numbers:
            noise = np.random.default_rng(number).normal(0, 60, (40, 40, 3))
            pixels = (np.array(colour) + noise).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


def models(project):
    return {path.parts[-3]: path.stat().st_mtime_ns for path in project.glob("runs/*/model/model.json")}


def test_the_head_with_the_lowest_validation_loss_is_measured_and_what_is_done_is_kept(project, capsys):
    put(project / "my photos", range(30))
    assert learn.run(["my photos", *WORDS]) == 0
    printed = capsys.readouterr().out
    heads = {path.name: Run(path) for path in sorted((project / "runs").glob("my photos_*"))}
    assert list(heads) == ["my photos_linear", "my photos_linear_fast", "my photos_mlp"]
    assert not any((run.directory / "metrics.json").exists() for run in heads.values())
    losses = {name: min(row["val/loss"] for row in run.history) for name, run in heads.items()}
    best = min(losses, key=losses.get)
    model = Run(project / "runs" / "my photos")
    assert model.model_file.weights_hash == heads[best].model_file.weights_hash
    assert f"*  {best.removeprefix('my photos_'):<11}  {losses[best]:.4f}" in printed
    assert f"my photos, test: {model.metric('test/acc'):.2%} of 12 images" in printed
    assert (project / "reports/my photos/comparison.html").is_file()
    assert "$ convlab features data=photos 'data.dir=my photos' backbone=resnet18_random" in printed
    assert "convlab promote 'my photos' --cv 'my photos_cv'" in printed

    made = models(project)
    assert learn.run(["my photos/", *WORDS]) == 0
    assert capsys.readouterr().out.count("done earlier, kept") == 4
    assert models(project) == made

    put(project / "my photos", range(30, 36))
    assert learn.run(["my photos", *WORDS]) == 0
    assert "kept" not in capsys.readouterr().out
    again = models(project)
    assert again.keys() == made.keys()
    assert all(again[name] > made[name] for name in made)


@pytest.mark.slow
def test_a_run_of_the_name_is_replaced_if_it_is_another_head_and_refused_if_it_is_not(project, capsys):
    put(project / "2024", range(30))  # which Hydra would take for a number
    (project / "conf/learn.yaml").write_text(
        "heads: {slow: [experiment=linear_head, optimizer.lr=1e-6], fast: [experiment=linear_head]}\n"
    )
    assert learn.run(["2024", "name=mine", *WORDS]) == 0
    data = ["data=photos", "data.dir='2024'", *WORDS, "name=mine", "resume=never"]
    assert train.run(["experiment=linear_head", "optimizer.lr=1e-6", *data]) == 0
    assert learn.run(["2024", "name=mine", *WORDS]) == 0
    mine, fast = (Run(project / "runs" / name) for name in ("mine", "mine_fast"))
    assert mine.config["optimizer"]["lr"] == 0.003
    assert mine.model_file.weights_hash == fast.model_file.weights_hash
    assert json.loads((project / "runs/mine/metrics.json").read_text())["name"] == "mine"
    assert train.run(["experiment=linear_head", "optimizer.lr=0.5", *data]) == 0
    with pytest.raises(ConvlabError, match=r"runs/mine holds a finished run .*lr: 0\.5, now 0\.003"):
        learn.run(["2024", "name=mine", *WORDS])
    shutil.rmtree(project / "runs")
    (project / "conf/learn.yaml").write_text("heads: [linear]\n")
    with pytest.raises(ConvlabError, match=r"learn\.yaml: expected `heads`, each a name and a list"):
        learn.run(["2024", *WORDS])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "one folder of photos is needed. For instance: convlab learn photos/"),
        (["nowhere"], "there is no folder nowhere. Expected nowhere/<class>/<photo>.jpg."),
        (["a", "b"], "one folder of photos is needed, not a and b"),
        (["one", *WORDS], r"one: at least two classes are needed, found one class with photos \(red\)"),
        (["one", "optimiser.lr=1"], "there is no setting 'optimiser"),
    ],
)
def test_what_it_can_t_learn_from(project, words, message):
    put(project / "one", range(2))
    shutil.rmtree(project / "one" / "grün")
    with pytest.raises(ConvlabError, match=message):
        learn.run(words)
    assert not (project / "runs").exists()
