"""Composition, hashes and names."""

import pytest

from convlab.base import config
from convlab.base.errors import ConvlabError

pytestmark = pytest.mark.usefixtures("project")


def composed(*overrides):
    return config.plain(config.compose("train", list(overrides)))


def test_an_experiment_is_a_difference_over_the_defaults():
    settings = composed("experiment=lenet5")
    assert settings["model"]["_target_"] == "convlab.models.lenet.LeNet5"
    assert settings["data"]["module"]["preprocessing"]["pad"] == 2
    assert settings["scheduler"]["factory"]["max_lr"] == settings["optimizer"]["lr"]


def test_the_command_line_wins_over_the_experiment():
    assert composed("experiment=lenet5", "trainer.max_epochs=9")["trainer"]["max_epochs"] == 9


def test_the_hash_ignores_names_and_follows_numbers():
    plain = config.config_hash(composed("experiment=lenet"))
    assert (
        config.config_hash(composed("experiment=lenet", "name=other", "resume=never", "logger=none")) == plain
    )
    assert config.config_hash(composed("experiment=lenet", "optimizer.lr=0.011")) != plain
    assert config.config_hash(composed("experiment=lenet", "seed=7")) != plain


def test_download_addresses_do_not_reach_training():
    assert "sources" not in composed("experiment=linear_head")["data"]
    assert "sources" not in composed("experiment=linear_head")["backbone"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["experiment=lenet", "seed=1", "model=lenet55"], "no model 'lenet55'"),
        (["experiment=lenet", "data.module.num_vals=3"], "'data.module.num_val'"),
    ],
)
def test_what_does_not_compose_is_explained(overrides, message):
    with pytest.raises(ConvlabError, match=message):
        composed(*overrides)


def test_each_job_of_a_sweep_is_checked():
    config.check("train", ["experiment=lenet,lenet5", "seed=1,2"])
    with pytest.raises(ConvlabError, match="no model 'lenett'"):
        config.check("train", ["experiment=lenet,lenet5", "model=lenet,lenett"])


@pytest.mark.parametrize(
    ("swept", "name"),
    [("", "lenet"), ("seed=1", "lenet_seed-1"), ("seed=1,optimizer.lr=0.1", "lenet_seed-1_optimizer.lr-0.1")],
)
def test_a_job_is_named_after_what_varies(swept, name):
    assert config._job_name("lenet", swept) == name
