"""Hydra looks for configuration in the project's `conf/` first, then in convlab's own."""

from functools import cache

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

from convlab.base.shipped import shipped

# What a project's train.yaml, which hides convlab's, extends. Without the experiment, which must come last:
# it differs from the project's own values, too.
PACKAGE_TRAIN = "convlab_train"


class _PackageConf(SearchPathPlugin):
    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        _store_train()
        package = str(shipped("conf"))
        known = [str(each.path).removeprefix("file://") for each in search_path.get_path()]
        if package not in known:  # in convlab's repository it is the project's
            search_path.append(provider="convlab", path=f"file://{package}")


@cache
def _store_train() -> None:
    train = OmegaConf.load(shipped("conf") / "train.yaml")
    train.defaults = [each for each in train.defaults if each == "_self_" or "experiment" not in each]
    ConfigStore.instance().store(PACKAGE_TRAIN, train)


def register() -> None:
    """Tell Hydra, once a process."""
    Plugins.instance().register(_PackageConf)
