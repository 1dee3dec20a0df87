"""Compose the project's Hydra configuration, with errors that say what was probably meant."""

import difflib
import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import ConfigCompositionException, HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from convlab.base import search_path
from convlab.base.errors import ConvlabError
from convlab.base.project import conf_groups, project_dir

# Choices of when, where and how often: they don't change what is learned.
_VOLATILE = ("name", "resume", "sweep", "search", "logger", "evaluate")


def compose(config_name: str, overrides: list[str]) -> DictConfig:
    """The resolved configuration that `conf/<config_name>.yaml` and `overrides` make.

    Raises ConvlabError for an unknown key or choice, with the near matches.
    """
    parsed = parse_overrides(overrides)
    _check_groups(parsed)
    try:
        config = _compose(config_name, overrides)
        HydraConfig.instance().set_config(config)  # for ${hydra:...}
        with open_dict(config):
            del config["hydra"]
        OmegaConf.resolve(config)
    except (HydraException, OmegaConfBaseException) as error:
        raise _explained(error, config_name, parsed) from None
    finally:
        HydraConfig.instance().cfg = None
    return config


def check(config_name: str, overrides: list[str]) -> None:
    """Raise what `compose` would for any job of a sweep: each value of each swept override is tried."""
    parsed = parse_overrides(overrides)
    _check_groups(parsed)
    first = [first_value(override) for override in parsed]
    if not any(override.is_sweep_override() for override in parsed):
        compose(config_name, overrides)
        return
    for position, override in enumerate(parsed):
        if override.is_sweep_override() and override.key_or_group in groups():
            for value in override.sweep_string_iterator():
                jobs = [*first[:position], f"{override.key_or_group}={value}", *first[position + 1 :]]
                compose(config_name, jobs)
    compose(config_name, first)


def parse_overrides(overrides: Iterable[str]) -> list[Override]:
    """Hydra's own parse of `key=value` words; raises ConvlabError for a word that is not one."""
    parsed = []
    for word in overrides:
        try:
            parsed.append(OverridesParser.create().parse_override(word))
        except HydraException:
            raise ConvlabError(
                f"'{word}' is not an override. Write key=value, for instance "
                "experiment=lenet or trainer.max_epochs=3."
            ) from None
    return parsed


def groups() -> dict[str, list[str]]:
    """The configuration groups, the project's and convlab's, and the choices of each."""
    return {group: list(files) for group, files in conf_groups().items()}


def config_hash(config: dict[str, Any]) -> str:
    """sha256 over what decides the result."""
    return hashlib.sha256(json.dumps(lasting(config), sort_keys=True).encode()).hexdigest()


def lasting(config: dict[str, Any]) -> dict[str, Any]:
    """What decides the result: `config` less its name, tracking and resume choices."""
    return {key: value for key, value in config.items() if key not in _VOLATILE}


def own_words(words: list[str], names: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Take a verb's own `name=value` words out of its overrides; the last of a name counts."""
    parts = {word: word.partition("=") for word in words}
    own = {name: value for name, _, value in parts.values() if name in set(names)}
    return own, [word for word, (name, _, _) in parts.items() if name not in own]


def near(word: str, known: Iterable[str]) -> str:
    """`did you mean 'a' or 'b'?` for the closest of `known`, or the empty string."""
    matches = difflib.get_close_matches(word, list(known), n=3, cutoff=0.75)
    return f"Did you mean {' or '.join(repr(match) for match in matches)}?" if matches else ""


def _compose(config_name: str, overrides: list[str]) -> DictConfig:
    conf = project_dir() / "conf"
    with hydra.initialize_config_dir(str(conf), version_base="1.3"):
        return hydra.compose(config_name, overrides, return_hydra_config=True)


def first_value(override: Override) -> str:
    """`override` as a word, cut to the first value if it sweeps over several."""
    if not override.is_sweep_override():
        return str(override.input_line)
    return f"{override.get_key_element()}={next(iter(override.sweep_string_iterator()))}"


def _check_groups(parsed: list[Override]) -> None:
    known = groups()
    for override in parsed:
        group = override.key_or_group
        if group not in known or override.is_delete():
            continue
        values = (
            [str(value) for value in override.sweep_string_iterator()]
            if override.is_sweep_override()
            else [str(override.get_value_element_as_str())]
        )
        for value in values:
            if value != "null" and value not in known[group]:
                raise ConvlabError(
                    f"there is no {group} '{value}'. {near(value, known[group])} "
                    f"Choices in conf/{group}/: {', '.join(known[group])}."
                )


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
    hint = near(key, [*keys, *groups()]) or "`convlab train --cfg job` prints every key."
    return ConvlabError(f"there is no setting '{key}'. {hint} (A new key is added with +{key}=...)")


def _dotted(tree: Any, prefix: str = "") -> list[str]:
    keys = []
    for key, value in tree.items():
        if prefix or key != "hydra":
            keys.append(f"{prefix}{key}")
            if isinstance(value, dict):
                keys += _dotted(value, f"{prefix}{key}.")
    return keys


def plain(config: DictConfig) -> dict[str, Any]:
    """`config` as plain dicts and lists, without the download sources, which training does not read."""
    tree: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    for part in ("data", "backbone"):
        if isinstance(tree.get(part), dict):
            tree[part].pop("sources", None)
    return tree


def save(config: dict[str, Any], path: Path) -> None:
    """Write `config` as YAML."""
    path.write_text(OmegaConf.to_yaml(OmegaConf.create(config)))


def _job_name(experiment: str, swept: str) -> str:
    """A sweep job's name, fit for a directory: `lenet`, `seed=1,a=2` -> `lenet_seed-1_a-2`."""
    words = [experiment, *swept.split(",")] if swept else [experiment]
    return "_".join(re.sub(r"[^\w.+-]+", "-", word) for word in words)


OmegaConf.register_new_resolver("convlab.job_name", _job_name, replace=True)
search_path.register()
