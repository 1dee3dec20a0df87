"""This process among those that torchrun, srun or Ray started together, by its environment."""

import os


def number_started() -> int:
    """How many there are, this one included. A batch script of SLURM is one, whatever it may start."""
    return int(os.environ.get("WORLD_SIZE") or os.environ.get("SLURM_STEP_NUM_TASKS") or 1)


def leads() -> bool:
    """Whether this process is the one that writes files, tells the recorder and speaks."""
    return int(os.environ.get("RANK") or os.environ.get("SLURM_PROCID") or 0) == 0
