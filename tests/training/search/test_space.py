"""What a search may vary: read, refused, and given back as words that Hydra reads as they were meant."""

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from convlab.base import overriding
from convlab.base.errors import ConvlabError
from convlab.training.search import space


def test_a_tree_of_ranges_and_choices_becomes_distributions_by_path():
    tree = {
        "optimizer": {"lr": {"low": 0.01, "high": 1, "log": True}},
        "model": {"pooling": {"choices": ["max", "average"]}, "hidden": {"low": 8, "high": 64, "step": 8}},
        "batch_size": {"low": 1, "high": 64, "log": True},
    }
    assert space.read(tree) == {
        "optimizer.lr": FloatDistribution(0.01, 1.0, log=True),
        "model.pooling": CategoricalDistribution(["max", "average"]),
        "model.hidden": IntDistribution(8, 64, step=8),
        "batch_size": IntDistribution(1, 64, log=True),
    }


@pytest.mark.parametrize(
    ("leaf", "message"),
    [
        ({"low": 1, "high": 1}, r'search\.space\.lr=\{"low": 1, "high": 1\}: the range is empty'),
        ({"low": 2, "high": 1}, "the range is empty"),
        ({"low": 0, "high": 1, "log": True}, "a logarithmic range begins above 0"),
        ({"low": 0.0}, "low and high must be numbers"),
        ({"low": "0.1", "high": 1}, "low and high must be numbers"),
        ({"low": 0, "high": 1, "max": 3}, "unknown key 'max'"),
        ({"low": 0.0, "high": 1.0, "step": 2.0}, "step must be above 0"),
        ({"choices": []}, "a list with an entry at least"),
        ({"choices": [1, 1]}, "named twice"),
        ({"choices": [[1]]}, r"not \[1\]"),
        ({"choices": [1], "low": 0}, "either choices or a range"),
        ({}, "low and high must be numbers"),
        (0.1, r"search\.space\.lr=0\.1: there is nothing to search"),
    ],
)
def test_a_leaf_that_is_no_range_is_refused_with_its_value(leaf, message):
    with pytest.raises(ConvlabError, match=message):
        space.read({"lr": leaf})


def test_an_empty_space_is_refused():
    with pytest.raises(ConvlabError, match=r"search\.space=\{\}: there is nothing to search"):
        space.read({})


@pytest.mark.parametrize(
    "value", [1, 0.1, 1e-07, True, None, "max", "a b", "it's", "true", "1", "a,b", "x=${y}"]
)
def test_a_value_survives_the_command_line(value):
    (word,) = space.words({"a.b": value})
    (parsed,) = overriding.parse([word])
    assert not parsed.is_sweep_override()
    assert parsed.value() == value
    assert type(parsed.value()) is type(value)


def test_a_trial_draws_within_its_space():
    wanted = space.read(
        {"a": {"low": 1, "high": 3}, "b": {"low": 0.1, "high": 0.2}, "c": {"choices": [None, 5]}}
    )
    drawn = []
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(lambda trial: drawn.append(space.draw(trial, wanted)) or 0.0, n_trials=30)
    assert {each["a"] for each in drawn} == {1, 2, 3}
    assert {each["c"] for each in drawn} == {None, 5}
    assert all(0.1 <= each["b"] <= 0.2 for each in drawn)
