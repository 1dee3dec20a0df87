"""What can't be built is one line, with the key, the class and the way out."""

import pytest
import torch

from convlab.base.errors import ConvlabError
from convlab.base.parts import instantiate


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (
            {"_target_": "torch.nn.CrossEntropyLoss", "label_smothing": 0.1},
            "loss.label_smothing: torch.nn.CrossEntropyLoss has no such argument. "
            "Did you mean 'label_smoothing'?",
        ),
        (
            {"_target_": "torch.nn.CrossEntropyLos"},
            "loss._target_=torch.nn.CrossEntropyLos could not be loaded: ",
        ),
        ({"_target_": "nowhere.Loss"}, "loss._target_=nowhere.Loss could not be loaded: "),
        (
            {"_target_": "torch.nn.Dropout", "p": 2},
            "torch.nn.Dropout refuses its settings (ValueError: dropout probability has to be between "
            "0 and 1, but got 2): loss.p=2.",
        ),
    ],
)
def test_what_cannot_be_built_is_one_line(part, message):
    with pytest.raises(ConvlabError) as raised:
        instantiate(part, "loss")
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


def test_an_error_of_ours_is_passed_on():
    part = {"_target_": "convlab.models.heads.MLPHead", "num_inputs": 2, "num_classes": 2, "drop": 3}
    with pytest.raises(ConvlabError, match="3"):
        instantiate(part, "model")


def test_what_is_completed_later_complains_in_the_same_way():
    make = instantiate({"_target_": "torch.optim.SGD", "_partial_": True, "lr": -1}, "optimizer")
    with pytest.raises(ConvlabError, match=r"torch\.optim\.SGD refuses its settings .*optimizer\.lr=-1"):
        make(torch.nn.Linear(1, 1).parameters())


def test_lists_arrive_as_lists():
    made = instantiate({"_target_": "builtins.dict", "betas": [0.8, 0.9]}, "optimizer")
    assert type(made["betas"]) is list
