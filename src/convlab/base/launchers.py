"""Hydra's launchers: a sweep's jobs run one after another here, or on what `hydra/launcher=` names."""

from importlib.util import find_spec

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override

from convlab.base import overriding
from convlab.base.errors import ConvlabError, near

GROUP = "hydra/launcher"
NEEDED = {  # what must be installed, and the extra that brings it
    "joblib": ("hydra_plugins.hydra_joblib_launcher", "joblib"),
    "submitit_local": ("hydra_plugins.hydra_submitit_launcher", "slurm"),
    "submitit_slurm": ("hydra_plugins.hydra_submitit_launcher", "slurm"),
    "ray": ("ray", "ray"),  # Hydra's plugin for it is convlab's own: hydra_plugins/convlab_ray
}


def split(words: list[str]) -> tuple[list[str], list[str]]:
    """The words about Hydra itself (`hydra/launcher=joblib`, `hydra.launcher.n_jobs=2`), and the rest."""
    own = {word for word in words if word.lstrip("+~").startswith(("hydra/", "hydra."))}
    return [word for word in words if word in own], [word for word in words if word not in own]


def check(parsed: list[Override]) -> None:
    """Raise ConvlabError for a launcher that there is not, or that an extra would bring.

    Hydra must be initialized: it knows the installed plugins, and a project's own conf/hydra/launcher/.
    """
    for override in parsed:
        if override.key_or_group != GROUP or override.is_delete():
            continue
        there = GlobalHydra.instance().config_loader().get_group_options(GROUP)
        for name in overriding.values(override):
            module, extra = NEEDED.get(name, ("", ""))
            if module and find_spec(module) is None:
                raise ConvlabError(f"{GROUP}={name} needs: pip install 'convlab[{extra}]'")
            if name not in there and name != "null":
                known = sorted({*there, *NEEDED})
                hint = f"{near(name, known)} Choices: {', '.join(known)}.".strip()
                raise ConvlabError(f"there is no {GROUP} '{name}'. {hint}")
