"""`convlab` without the seconds of its imports: a process that has them forks one for each command.

`with commands(src) as folder:` puts a program `convlab` into `folder`, for PATH. It hands its words, folder,
environment and open files to the forked process, passes signals on, and ends with its status. What a process
does as it starts (orphans, imports) it does not do: tests of that start one of their own.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

IMPORTED = (
    "mlflow",
    "pandas",
    "convlab.cli.commands.train",
    "convlab.training.train",
    "convlab.training.evaluation",
    "convlab.tracking.recorder",
    "convlab.tracking.logged_model",
    "convlab.features.photo_features",
    "convlab.runs.report.page",
    "timm",
)
CLIENT = """#!{python} -IS
import json, os, signal, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({path!r})
call = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(server, [len(call).to_bytes(8, "little")], [0, 1, 2])
server.sendall(call)
child = int.from_bytes(server.recv(8, socket.MSG_WAITALL), "little")
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, lambda number, frame: os.kill(child, number))
status = int.from_bytes(server.recv(8, socket.MSG_WAITALL), "little", signed=True)
if status < 0:
    signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
os._exit(status)
"""


@contextmanager
def commands(src: Path) -> Iterator[Path]:
    """A folder with a `convlab` that runs the package below `src`."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "socket")
        env = os.environ | {"PYTHONPATH": str(src)}
        server = subprocess.Popen([sys.executable, __file__, path], env=env)
        try:
            while not Path(path).exists():
                assert server.poll() is None
                time.sleep(0.05)
            program = Path(folder) / "bin" / "convlab"
            program.parent.mkdir()
            program.write_text(CLIENT.format(python=sys.executable, path=path))
            program.chmod(0o755)
            yield program.parent
        finally:
            server.kill()
            server.wait()


def serve(path: str) -> None:
    """Fork for each call, until killed or left alone."""
    import importlib

    for module in IMPORTED:
        importlib.import_module(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who wait
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(f"{path}.new")
    listening.listen(16)
    listening.settimeout(1)
    Path(f"{path}.new").rename(path)
    parent = os.getppid()
    while os.getppid() == parent:
        try:
            client, _ = listening.accept()
        except TimeoutError:
            continue
        if os.fork() == 0:
            listening.close()
            _wait_for(client)
        client.close()


def _wait_for(client: socket.socket) -> None:
    """In a process of its own: run the call in another, and tell its status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    client.settimeout(None)
    length, files, _, _ = socket.recv_fds(client, 8, 3)
    words, folder, env = json.loads(client.recv(int.from_bytes(length, "little"), socket.MSG_WAITALL))
    child = os.fork()
    if child == 0:
        client.close()
        _run(words, folder, env, files)
    for file in files:
        os.close(file)
    client.sendall(child.to_bytes(8, "little"))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    client.sendall(status.to_bytes(8, "little", signed=True))
    os._exit(0)


def _run(words: list[str], folder: str, env: dict[str, str], files: list[int]) -> None:
    for place, file in enumerate(files):
        os.dup2(file, place)
        os.close(file)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False, buffering=1)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    sys.argv = ["convlab", *words]
    from convlab.cli.main import main

    sys.exit(main())


if __name__ == "__main__":
    serve(sys.argv[1])
