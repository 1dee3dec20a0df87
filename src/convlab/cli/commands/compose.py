"""Write each stage's settings to configs/: the stage of dvc.yaml that all others depend on.

usage: convlab compose

Hydra composes every experiment of pipeline.yaml; what decides a stage's result goes into a file of its own
(configs/train/<experiment>.yaml), without comments, names of trackers or anything else that does not. DVC
then reruns a stage only if its file differs.

example:
  convlab compose && less configs/train/lenet.yaml
"""

from convlab.base.console import console
from convlab.base.errors import ConvlabError


def run(args: list[str]) -> int:
    """Write them; returns the exit status."""
    if args:
        raise ConvlabError(f"'{args[0]}': compose takes no arguments (`convlab compose --help`).")
    from convlab.runs import pipeline, stage_configs

    number = stage_configs.write()
    console.print(f"{pipeline.CONFIGS}: the settings of {number} experiments", markup=False)
    return 0
