"""Pin every package anew, with hashes: `python requirements/lock.py [--upgrade]`. Needs `uv` on the PATH.

all.txt    what `convlab[all]` needs, on each system and Python that pyproject.toml accepts
cuda.txt   what torch's build for CUDA needs beside it; its build for the CPU does not
dev.txt    what `convlab[dev]` needs beside all that
ray.txt    what `convlab[ray]` needs beside all of these

Versions stay as they are unless a requirement forbids them, or with --upgrade.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
FILES = {
    "all": "what `convlab[all]` needs",
    "cuda": "what torch's build for CUDA needs beside all.txt",
    "dev": "what `convlab[dev]` needs beside all.txt",
    "ray": "what `convlab[ray]` needs beside the others",
}
CUDA = re.compile(r"nvidia-|cuda-|triton$")


def main() -> int:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions")
    before = [] if parser.parse_args().upgrade else [HERE / f"{name}.txt" for name in FILES]
    known = [file for file in before if file.is_file()]
    everything, everyone = _resolve(["dev"], known), set(_resolve(["all"], known))
    parts: dict[str, list[str]] = {name: [] for name in FILES}
    for name, entry in everything.items():
        parts["cuda" if CUDA.match(name) else "all" if name in everyone else "dev"].append(entry)
    on_ray = _resolve(["dev", "ray"], known)
    parts["ray"] = [entry for name, entry in on_ray.items() if name not in everything]
    for name, entries in parts.items():
        head = f"# Made by requirements/lock.py: {FILES[name]}\n"
        (HERE / f"{name}.txt").write_text(head + "".join(entries))
        print(f"requirements/{name}.txt: {len(entries)} packages")
    return 0


def _resolve(extras: list[str], before: list[Path]) -> dict[str, str]:
    """The packages of extras by their names, each with its pin and hashes as pip reads them."""
    command = ["uv", "pip", "compile", "pyproject.toml", "--universal", "--no-header"]
    command += [word for extra in extras for word in ("--extra", extra)]
    command += ["--generate-hashes", "--no-annotate", "--python-version", "3.11", "--quiet", "--upgrade"]
    for file in before:
        command += ["--constraint", str(file)]
    done = subprocess.run(command, cwd=HERE.parent, check=True, stdout=subprocess.PIPE, text=True)
    entries = re.findall(r"^\S.*(?:\n .*)*\n", done.stdout, re.MULTILINE)
    return {entry.partition("==")[0]: entry for entry in entries}


if __name__ == "__main__":
    sys.exit(main())
