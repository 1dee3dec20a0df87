"""Compose the project's Hydra configuration, with errors that say what was probably meant."""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
import yaml
from hydra._internal.hydra import Hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from hydra.errors import ConfigCompositionException, HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from convlab.base import kinds, launchers, overriding, search_path
from convlab.base.errors import ConvlabError, near
from convlab.base.project import conf_file, conf_groups, project_dir
from convlab.base.trees import first_names, present_names

# Choices of when, where and how often: they don't change what is learned.
_VOLATILE = ("name", "resume", "sweep", "search", "logger", "evaluate", "report", "visualize")
_PLACES = ("num_nodes", "strategy")


@dataclass(frozen=True)
class Job:
    """A composed training: its plain settings, and the directory that hydra.run.dir gives it."""

    settings: dict[str, Any]
    directory: Path


def compose(config_name: str, overrides: list[str], typed: bool = True) -> DictConfig:
    """The resolved configuration that `conf/<config_name>.yaml` and `overrides` make.

    typed: whether the fixed keys are checked; where only a part is of use, that takes longer than it.

    Raises ConvlabError for an unknown key or choice, with the near matches, and for a value of the wrong
    type, with what is expected.
    """
    config, _ = _checked(config_name, overrides, typed)
    return config


def job(overrides: list[str]) -> Job:
    """What `convlab train` runs with `overrides`; raises ConvlabError as `compose` does."""
    config, own = _checked("train", overrides)
    return Job(plain(config), Path(own.run.dir).absolute())


def check(config_name: str, overrides: list[str]) -> None:
    """Raise what `compose` would for any job of a sweep: each value of each swept override is tried."""
    parsed = overriding.parse(overrides)
    first = [overriding.first_value(override) for override in parsed]
    for position, override in enumerate(parsed):
        if override.is_sweep_override() and override.key_or_group in groups():
            for value in overriding.values(override):
                jobs = [*first[:position], f"{override.key_or_group}={value}", *first[position + 1 :]]
                compose(config_name, jobs)
    compose(config_name, first)


def groups() -> dict[str, list[str]]:
    """The configuration groups, the project's and convlab's, and the choices of each."""
    return {group: list(files) for group, files in conf_groups().items()}


def config_hash(config: dict[str, Any]) -> str:
    """sha256 over what decides the result."""
    return hashlib.sha256(json.dumps(first_names(lasting(config)), sort_keys=True).encode()).hexdigest()


def lasting(config: dict[str, Any]) -> dict[str, Any]:
    """What decides the result: `config` less its name, devices, tracking and resume choices, no callbacks."""
    kept = {key: value for key, value in config.items() if key not in _VOLATILE}
    if "devices" in kept.get("trainer", {}):  # several share each batch: the result is that of one
        kept["trainer"] = {key: kept["trainer"][key] for key in kept["trainer"] if key not in _PLACES}
        kept["trainer"]["devices"] = 1
    return kept if kept.get("callbacks") else {key: kept[key] for key in kept if key != "callbacks"}


def recorded(config: dict[str, Any]) -> dict[str, Any]:
    """What a run's config.yaml keeps: `config` less what is said of its place in a pipeline or a sweep."""
    return {key: value for key, value in config.items() if key not in ("report", "visualize", "sweep")}


def plain(config: DictConfig) -> dict[str, Any]:
    """`config` as plain dicts and lists, without the download sources, which training does not read."""
    tree: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    for part in ("data", "backbone"):
        if isinstance(tree.get(part), dict):
            tree[part].pop("sources", None)
    return dict(present_names(tree))


def save(config: dict[str, Any], path: Path) -> None:
    """Write `config` as YAML."""
    path.write_text(OmegaConf.to_yaml(OmegaConf.create(config)))


def _checked(config_name: str, overrides: list[str], typed: bool = True) -> tuple[DictConfig, Any]:
    """The resolved configuration, and Hydra's own part of it."""
    parsed = overriding.parse(overrides)
    _check_groups(parsed)
    outer = HydraConfig.instance().cfg
    try:
        config = _compose(config_name, overrides)
        HydraConfig.instance().set_config(config)  # for ${hydra:...}
        own = OmegaConf.create(OmegaConf.to_container(config.hydra, throw_on_missing=False))
        own.run.dir = config.hydra.run.dir
        with open_dict(config):
            del config["hydra"]
        OmegaConf.resolve(config)
        _name_as_text(config)
    except (HydraException, OmegaConfBaseException) as error:
        raise _explained(error, config_name, parsed) from None
    finally:
        HydraConfig.instance().cfg = outer
    _check_kinds(parsed, config, own.runtime.choices)
    if typed:
        check_types(config_name, config)
    return config, own


def check_types(config_name: str, config: DictConfig) -> None:
    """Raise ConvlabError for the first value that conf/<config_name>.yaml does not allow."""
    from convlab.base import settings

    settings.check(config_name, OmegaConf.to_container(config, resolve=True))  # type: ignore[arg-type]


def _name_as_text(config: DictConfig) -> None:
    """`name=2026` is a name, not a number."""
    for section in (config, config.get("data")):
        if OmegaConf.is_dict(section) and isinstance(section.get("name"), int | float):
            section["name"] = str(section["name"])


@contextmanager
def initialized() -> Iterator[Hydra]:
    """Hydra, looking into the project's `conf/`, while the block runs; within one of its jobs, too."""
    state, conf = GlobalHydra.instance(), project_dir() / "conf"
    outer = state.hydra
    state.clear()
    try:
        with hydra.initialize_config_dir(str(conf), job_name="convlab", version_base="1.3"):
            application = GlobalHydra.instance().hydra
            assert application is not None
            yield application
    finally:
        GlobalHydra.instance().hydra = outer


def _compose(config_name: str, overrides: list[str]) -> DictConfig:
    with initialized():
        launchers.check(overriding.parse(overrides))
        return hydra.compose(config_name, overriding.readable(overrides), return_hydra_config=True)


def _check_groups(parsed: list[Override]) -> None:
    known = groups()
    for override in parsed:
        group = override.key_or_group
        if group not in known or override.is_delete():
            continue
        for value in overriding.values(override):
            if value != "null" and value not in known[group]:
                raise ConvlabError(
                    f"there is no {group} '{value}'. {near(value, known[group])} "
                    f"Choices in conf/{group}/: {', '.join(known[group])}."
                )


def _check_kinds(parsed: list[Override], config: DictConfig, choices: DictConfig) -> None:
    """A part's number stays a number: `optimizer.lr=abc` is refused by what the part's own file has there."""
    for override in parsed:
        group, _, inner = override.key_or_group.partition(".")
        choice = choices.get(group)
        path = conf_file(f"{group}/{choice}.yaml")
        if not inner or override.is_delete() or not path.is_file():
            continue
        usual: Any = yaml.safe_load(path.read_text())
        for name in inner.split("."):
            usual = usual.get(name) if isinstance(usual, dict) else None
        value = OmegaConf.select(config, override.key_or_group)
        value = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
        kinds.check_kind(override.key_or_group, value, usual)


def _explained(error: Exception, config_name: str, parsed: list[Override]) -> ConvlabError:
    match = re.search(r"Could not override '([^']+)'", str(error))
    if not isinstance(error, ConfigCompositionException) or match is None:
        return ConvlabError(f"the configuration does not compose: {error}")
    key = match.group(1)
    choices = [str(override.input_line) for override in parsed if override.key_or_group in groups()]
    try:
        keys = _dotted(OmegaConf.to_container(_compose(config_name, choices)))
    except (HydraException, OmegaConfBaseException):
        keys = []
    hint = near(key, list(dict.fromkeys([*keys, *groups()]))) or "`convlab train --cfg job` prints every key."
    return ConvlabError(f"there is no setting '{key}'. {hint} (A new key is added with +{key}=...)")


def _dotted(tree: Any, prefix: str = "") -> list[str]:
    keys = []
    for key, value in tree.items():
        if prefix or key != "hydra":
            keys.append(f"{prefix}{key}")
            if isinstance(value, dict):
                keys += _dotted(value, f"{prefix}{key}.")
    return keys


def _job_name(experiment: str, swept: str) -> str:
    """A sweep job's name, fit for a directory: `lenet`, `seed=1,a=2` -> `lenet_seed-1_a-2`."""
    parts = [experiment, *swept.split(",")] if swept else [experiment]
    return "_".join(re.sub(r"[^\w.+-]+", "-", part) for part in parts)


OmegaConf.register_new_resolver("convlab.job_name", _job_name, replace=True)
OmegaConf.register_new_resolver("convlab.folder_name", lambda folder: Path(folder).name, replace=True)
search_path.register()
