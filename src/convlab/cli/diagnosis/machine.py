"""Where files are written, how much room there is, and whether the usual ports are free."""

import shutil
import socket
import tempfile
from pathlib import Path

from convlab.base.project import home_dir, state_dir
from convlab.cli.diagnosis.finding import Finding, ok, problem, warning

WARN_BELOW_GB, PROBLEM_BELOW_GB = 5.0, 0.5
NEEDED = "the full run takes about 1 GB, PyTorch's CPU build and the other packages 2.6 GB"
PORTS = {5000: "convlab ui", 8000: "convlab serve"}


def look() -> list[Finding]:
    home = home_dir()
    places = {"project": home, "runs": home / "runs", "state": state_dir()}
    findings = [_writable(name, path) for name, path in places.items()]
    volumes = {_existing(path).stat().st_dev: _existing(path) for path in places.values()}
    return [*findings, *(_room(path) for path in volumes.values()), *(_port(port) for port in PORTS)]


def _writable(name: str, path: Path) -> Finding:
    """A file is really written: permissions alone do not tell of read-only file systems or quotas."""
    folder = _existing(path)
    remedy = (
        f"make {folder} writable{', or let CONVLAB_STATE name another folder' if name == 'state' else ''}"
    )
    if not folder.is_dir():
        return problem(f"{name} folder", f"{folder} is a file, no folder", f"mv {folder} elsewhere")
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"convlab")
            file.flush()
    except OSError as error:
        reason = f"{path}: cannot write: {error.strerror}"
        return problem(f"{name} folder", reason, remedy)
    later = "" if folder == path else ", made when it is needed"
    return ok(f"{name} folder", f"{path}: writable{later}")


def _room(path: Path) -> Finding:
    free_gb = shutil.disk_usage(path).free / 1e9
    text = f"{free_gb:,.1f} GB free at {path}"
    if free_gb >= WARN_BELOW_GB:
        return ok("space", text)
    level = warning if free_gb >= PROBLEM_BELOW_GB else problem
    return level("space", f"{text}; {NEEDED}", "delete what you no longer need of sweeps/ and runs/")


def _port(port: int) -> Finding:
    name = f"port {port}"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            text = f"in use ({error.strerror}): {PORTS[port]} may be running already"
            return warning(name, text, f"{PORTS[port]} --port {port + 1}")
    return ok(name, f"free for {PORTS[port]}")


def _existing(path: Path) -> Path:
    """`path`, or the nearest folder above it that is there."""
    while not path.exists():
        path = path.parent
    return path
