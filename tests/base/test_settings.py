"""The fixed keys are typed: what does not fit is one line, before anything is trained."""

import pytest

from convlab.base import config
from convlab.base.errors import ConvlabError

pytestmark = pytest.mark.usefixtures("project")


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("seed=1.5", "seed=1.5: expected a whole number."),
        ("seed=abc", "seed=abc: expected a whole number."),
        ("batch_size=0", "batch_size=0: expected at least 1."),
        ("evaluate=1", "evaluate=1: expected true or false."),
        ("averaging=0.9", "averaging=0.9: expected settings, {key: value}."),
        ("averaging.decay=2", "averaging.decay=2: expected less than 1."),
        ("checkpoint.mode=best", "checkpoint.mode=best: expected 'max' or 'min'."),
        ("backbone_lr=slow", "backbone_lr=slow: expected a number."),
        ("+averaging.deca=0.9", "there is no setting 'averaging.deca'. Did you mean 'decay'?"),
        ("+foo=1", "there is no setting 'foo'. `convlab train --cfg job` prints every key."),
        (f"batch_size={10**22}", f"batch_size={10**22}: expected less than 9223372036854775808."),
        ("++trainer.accumulate_grad_batches=0", "trainer.accumulate_grad_batches=0: expected at least 1."),
        ("++trainer.check_val_every_n_epoch=0", "trainer.check_val_every_n_epoch=0: expected at least 1."),
        ("optimizer.lr=nan", "optimizer.lr=nan: expected a number."),
        # of an open part, what its own file has there decides
        ("optimizer.lr=abc", "optimizer.lr=abc: expected a number, such as 0.05."),
        ("optimizer.nesterov=5", "optimizer.nesterov=5: expected true or false, such as true."),
        (
            "scheduler.factory.pct_start=half",
            "scheduler.factory.pct_start=half: expected a number, such as 0.25.",
        ),
        (
            "data.module.preprocessing.pixel_mean=3",
            "data.module.preprocessing.pixel_mean=3: expected a list,",
        ),
    ],
)
def test_a_wrong_value_is_one_line(word, message):
    with pytest.raises(ConvlabError) as raised:
        config.compose("train", ["experiment=lenet", word])
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


def test_a_number_may_be_a_name():
    assert config.compose("train", ["name=2026", "data.name=7"]).name == "2026"


def test_what_is_null_may_become_anything():
    settings = config.compose("train", ["data.module.augmentation={_target_: a.B, rotation: 10}"])
    assert settings.data.module.augmentation.rotation == 10


@pytest.mark.parametrize(
    "word", ["name=../evil", "name=", "name=..", "name=.hidden", "name=a/b", "name=-x", f"name={'x' * 201}"]
)
def test_a_name_that_is_no_folders_is_refused(word):
    with pytest.raises(ConvlabError, match="expected a name of 1 to 200 bytes for a folder"):
        config.compose("train", [word])
    with pytest.raises(ConvlabError, match="expected a name of 1 to 200 bytes for a folder"):
        config.compose("train", [f"data.{word}"])
    with pytest.raises(ConvlabError, match="expected a name of 1 to 200 bytes for a folder"):
        config.compose("features", [f"data.{word}"])


def test_no_name_is_no_name():
    with pytest.raises(ConvlabError, match=r"^name=null: expected text\.$"):
        config.compose("train", ["name=null"])


@pytest.mark.parametrize("name", ["grüße", "犬", "lenet & co", "ångström 2", "x" * 200])
def test_every_name_that_a_user_may_give_is_taken(name):
    assert config.compose("train", [f"name={name}"])["name"] == name
    assert config.compose("train", [f"data.name={name}"])["data"]["name"] == name
