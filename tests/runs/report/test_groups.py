"""Groups of runs by a setting, on figures small enough to work out by hand."""

import pytest

from convlab.base.errors import ConvlabError
from convlab.runs.report.groups import by_setting
from convlab.runs.run import Run


def run(directory, name, model, acc, lr=None):
    (directory / name).mkdir()
    if lr:
        (directory / name / "config.yaml").write_text(f"optimizer: {{lr: {lr}}}\n")
    test = {"acc": acc, "loss": None if acc is None else 1 - acc}
    found = Run(directory / name)
    vars(found)["metrics"] = {"data": "toys", "model": model, "test": test}
    return found


@pytest.fixture
def ranked(tmp_path):
    return [
        run(tmp_path, "best", "Small", 0.9, lr=0.1),
        run(tmp_path, "second", "Large", 0.8, lr=0.2),
        run(tmp_path, "third", "Large", 0.75, lr=0.1),
        run(tmp_path, "fourth", "Large", 0.7),
        run(tmp_path, "lost", "Large", None, lr=0.1),
    ]


def test_models_by_their_mean_with_the_sample_standard_deviation(ranked):
    small, large = by_setting(ranked, "test/acc", "model")
    assert (small.value, small.num_runs, small.mean, small.std, small.best.name) == (
        "Small",
        1,
        0.9,
        None,
        "best",
    )
    assert (large.value, large.num_runs, large.best.name) == ("Large", 3, "second")
    assert large.mean == pytest.approx(0.75)
    assert large.std == pytest.approx(0.05)  # sqrt((0.05^2 + 0 + 0.05^2) / 2)


def test_any_setting_groups_and_a_small_loss_leads(ranked):
    groups = by_setting(ranked, "test/loss", "optimizer.lr")
    assert [(group.value, group.num_runs) for group in groups] == [("0.1", 2), ("0.2", 1), ("none", 1)]
    assert [group.mean for group in groups] == pytest.approx([0.175, 0.2, 0.3])


def test_a_setting_that_no_run_has_is_refused_with_the_near_ones(ranked):
    with pytest.raises(ConvlabError, match=r"--group optimizer\.rl.*toys.*Did you mean 'optimizer\.lr'\?"):
        by_setting(ranked, "test/acc", "optimizer.rl")
