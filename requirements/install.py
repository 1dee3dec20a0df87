"""Install what convlab needs, exactly as pinned, into the Python that runs this.

usage: python requirements/install.py [--dev] [--torch-index URL]

All packages come with the hashes in all.txt, by `uv` if that is on the PATH, else by pip. --dev adds those of
dev.txt and the checkout around this file, editable.

Only torch and torchvision are taken by version alone: there are builds for the CPU and for CUDA, and your
index, or --torch-index, decides which one you get. If it is one for CUDA, its libraries follow, with hashes.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

HERE = Path(__file__).parent
ENVIRONMENT = os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def main() -> int:
    """The exit status is the installer's."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--dev", action="store_true", help="with this checkout, and what its tests need")
    parser.add_argument("--torch-index", metavar="URL", help="where torch and torchvision come from")
    options = parser.parse_args()
    pins = re.findall(r"^(?:torch|torchvision)==[\w.]+", (HERE / "all.txt").read_text(), re.MULTILINE)
    index = ["--index-url", options.torch_index] if options.torch_index else []
    status = _install("--no-deps", *index, *pins)
    if not status:
        names = ["all", *(["dev"] if options.dev else []), *(["cuda"] if _for_cuda() else [])]
        files = [word for name in names for word in ("-r", str(HERE / f"{name}.txt"))]
        status = _install("--no-deps", "--require-hashes", *files)
    if not status and options.dev:
        status = _install("--no-deps", "--no-build-isolation", "--editable", str(HERE.parent))
    return status


def _install(*words: str) -> int:
    uv = shutil.which("uv")
    if uv:
        command = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", sys.executable, *words]
        links = ENVIRONMENT.get("PIP_FIND_LINKS", "").split()  # the same wheels as for pip
        command += [word for link in links for word in ("--find-links", link)]
    else:
        command = [sys.executable, "-m", "pip", "install", "-qq", *words]
    return subprocess.run(command, env=ENVIRONMENT).returncode


def _for_cuda() -> bool:
    """Whether the installed torch asks for CUDA's libraries; to import it would take them."""
    return any(re.match(r"nvidia-|cuda-", line) for line in requires("torch") or [])


if __name__ == "__main__":
    sys.exit(main())
