"""What the package ships beside its code: the configuration, the pipeline, the sample, the pinned versions.

In a checkout these are the folders at its top; a wheel has them beside this file (pyproject.toml).
`python -m convlab.base.shipped NAME` prints where one is, for a Makefile.
"""

import sys
from pathlib import Path

_WHEEL = Path(__file__).with_name("shipped_files")
_CHECKOUT = Path(__file__).parents[3]


def shipped(name: str) -> Path:
    """The file or folder that lies at `name` in the repository, as this package brings it."""
    return (_WHEEL if _WHEEL.is_dir() else _CHECKOUT) / name


if __name__ == "__main__":
    print(shipped(sys.argv[1]))
