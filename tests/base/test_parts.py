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


NET = {"_target_": "convlab.models.fully_connected.FullyConnected", "num_inputs": 2, "num_classes": 2}


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({**NET, "hidden": 1.5}, "part.hidden=1.5: expected a whole number."),
        ({**NET, "hidden": None}, "part.hidden=null: expected a whole number."),
        ({**NET, "hidden": True}, "part.hidden=true: expected a whole number."),
        ({**NET, "hidden": 2**63}, f"part.hidden={2**63}: expected a whole number."),
        (
            {"_target_": "builtins.dict", "inner": {**NET, "hidden": "many"}},
            "part.inner.hidden=many: expected a whole number.",
        ),
        (  # another's class
            {
                "_target_": "pytorch_lightning.callbacks.EarlyStopping",
                "monitor": "val/acc",
                "patience": 1.5,
            },
            "part.patience=1.5: expected a whole number.",
        ),
        (
            {"_target_": "pytorch_lightning.Trainer", "max_epochs": 1.5},
            "part.max_epochs=1.5: expected a whole",
        ),
    ],
)
def test_what_should_be_a_whole_number_is_one(part, message):
    with pytest.raises(ConvlabError) as raised:
        instantiate(part, "part")
    assert str(raised.value).startswith(message)


def test_a_whole_number_may_be_left_open_where_its_class_says_so():
    part = {"_target_": "pytorch_lightning.Trainer", "max_epochs": None, "limit_val_batches": 0.5}
    assert instantiate(part, "trainer", logger=False, enable_checkpointing=False).limit_val_batches == 0.5


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
