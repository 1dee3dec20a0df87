"""What computes: torch, torchvision and the optional runtimes, each imported in a process of its own.

A native library that does not suit the machine may end the process that loads it, without an exception.
"""

import json
import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

from convlab.cli import extras
from convlab.cli.diagnosis.finding import Finding, ok, problem, some, warning
from convlab.features.runtimes.choice import PACKAGES

TIMEOUT_S = 120
TORCH = """
import json, convlab, torch
about = {"version": torch.__version__, "cuda": torch.version.cuda, "threads": torch.get_num_threads()}
about |= {"gpus": [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]}
print(json.dumps(about | {"onednn": torch.backends.mkldnn.is_available()}), flush=True)
import torchvision
from convlab.base import torchvision_operators
declared = bool(torchvision_operators._libraries)
print(json.dumps({"version": torchvision.__version__, "declared": declared}))
"""
RUNTIME = """
import json, {name}
print(json.dumps({{"version": {name}.__version__}}))
"""
REINSTALL = "pip install --force-reinstall --no-deps {pin}"


class Trial:
    """One program in a Python process of its own, begun at once; `result` waits for what it prints."""

    def __init__(self, program: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def result(self) -> tuple[list[dict[str, Any]], str]:
        """What the program printed, a JSON object a line, and in words how it failed if it did."""
        try:
            output, errors = self._process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            output, errors = self._process.communicate()
            errors += f"takes longer than {TIMEOUT_S} s to import"
        status = self._process.returncode
        failure = (errors.strip().splitlines() or [f"ends its process with status {status}"])[-1]
        if status < 0 and status != -signal.SIGKILL:
            failure = f"ends its process with {signal.Signals(-status).name}"
        found = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
        return found, failure if status else ""


def begin() -> dict[str, Trial]:
    """Start all that takes a second or two; `look` collects it."""
    programs = {name: RUNTIME.format(name=name) for name in PACKAGES if find_spec(name) is not None}
    if find_spec("torch") is not None:
        programs["torch"] = TORCH
    return {name: Trial(program) for name, program in programs.items()}


def look(trials: dict[str, Trial]) -> list[Finding]:
    findings = _torch_and_torchvision(*trials["torch"].result()) if "torch" in trials else [_WITHOUT_TORCH]
    for name, command in PACKAGES.items():
        if name not in trials:
            findings.append(ok(name, f"not installed; optional ({command})"))
            continue
        found, failure = trials[name].result()
        if failure:
            findings.append(problem(name, failure, f"{command}; or backbone.runtime=torch"))
        else:
            findings.append(ok(name, found[0]["version"]))
    return findings


_WITHOUT_TORCH = ok("torch", f"not installed; needed to train, not to predict ({extras.install('train')})")


def _torch_and_torchvision(found: list[dict[str, Any]], failure: str) -> list[Finding]:
    if not found:
        return [_broken("torch", failure)]
    vision = _torchvision(found[1]) if len(found) == 2 else _broken("torchvision", failure)
    return [*_torch(found[0]), vision]


def _broken(name: str, failure: str) -> Finding:
    return problem(name, failure, _reinstall(name))


def _reinstall(name: str) -> str:
    """In the version that convlab asks for."""
    pins = [f"{each.name}{each.specifier}" for each in extras.extras()["train"] if each.name == name]
    return REINSTALL.format(pin=(pins or [name])[0])


def _torch(found: dict[str, Any]) -> list[Finding]:
    devices = some(found["gpus"]) if found["gpus"] else "no GPU"
    built = f"built for CUDA {found['cuda']}" if found["cuda"] else "built for the CPU"
    findings = [ok("torch", f"{found['version']}, {built}: {devices}"), _threads(found["threads"])]
    if not found["onednn"]:
        lack = "torch has none (MKL-DNN): convolutions on the CPU will be slow"
        findings.append(warning("oneDNN", lack, _reinstall("torch")))
    return findings


def _threads(threads: int) -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    text = f"torch computes on {threads} of this process's {cores} cores"
    if threads > cores:
        more = f"{threads} threads share {cores} of {os.cpu_count()} cores, and slow each other down"
        return warning("threads", more, f"export OMP_NUM_THREADS={cores}")
    return ok("threads", text)


def _torchvision(found: dict[str, Any]) -> Finding:
    without = ", without its compiled operators, which convlab does not need" if found["declared"] else ""
    return ok("torchvision", found["version"] + without)
