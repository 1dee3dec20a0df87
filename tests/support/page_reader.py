"""Someone who follows a page of the project: runs its commands, checks its examples, asks its servers."""

import contextlib
import doctest
import io
import os
import re
import shlex
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pages import Commands, Examples, File, shortened, steps

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
SERVER = re.compile(r"^(?:convlab (?:serve|ui)|tensorboard|mlflow models serve)\b[^#\n]*", re.MULTILINE)
PORTS = {"convlab serve": 8000, "convlab ui": 5000, "tensorboard": 6006, "mlflow models": 5000}
PATIENCE_S = 600  # for all that a block does before its server


@dataclass
class Reader:
    """Someone who follows a page in the current directory, at some paces.

    here: whether commands of convlab run in this process, where they need not import everything anew.
    stand_ins: what to take for what a page only supposes, a folder's place for instance.
    """

    page: Path
    paces: tuple[str, ...] = ("",)
    here: bool = False
    stand_ins: dict[str, str] = field(default_factory=dict)
    names: dict[str, object] = field(default_factory=dict)  # what the page's examples have defined so far
    servers: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def follow(self) -> None:
        with self.servers:
            for step in steps(self.page.read_text()):
                if isinstance(step, Examples):
                    self.check(step)
                elif isinstance(step, File):
                    step.write(Path.cwd())
                elif step.pace in self.paces:
                    self.execute(step)

    def execute(self, commands: Commands) -> None:
        text = shortened(commands.text) if commands.pace == "hours" else commands.text
        for supposed, real in self.stand_ins.items():
            text = text.replace(supposed, real)
        if SERVER.search(text):
            said, status = self._serve(text, commands)
        elif self.here and all(line.startswith("convlab ") for line in text.splitlines()):
            said, status = _run_here(text)
        else:
            program = [sys.executable, "-"] if commands.language == "python" else ["bash", "-e"]
            done = subprocess.run(
                program, input=text, env=_env(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
            said, status = done.stdout, done.returncode
        if status and commands.language != "console":  # there, what is shown tells
            self._fail(commands, f"exit status {status}", text, said)
        for shown in commands.shown:
            if not shown.is_part_of(said):
                self._fail(commands, "shows what was not printed", shown.text, said)

    def _fail(self, commands: Commands, what: str, *texts: str) -> None:
        place = f"{self.page.relative_to(ROOT)}:{commands.line}"
        pytest.fail("\n".join([f"{place}: {what}", *texts]), pytrace=False)

    def check(self, examples: Examples) -> None:
        test = doctest.DocTestParser().get_doctest(
            examples.text, {}, self.page.name, str(self.page.relative_to(ROOT)), examples.line - 1
        )
        test.globs = self.names
        report = io.StringIO()
        flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
        result = doctest.DocTestRunner(optionflags=flags).run(test, out=report.write, clear_globs=False)
        if result.failed:
            pytest.fail(report.getvalue(), pytrace=False)

    def _serve(self, text: str, commands: Commands) -> tuple[str, int]:
        """Start the server that ends a block, on a free port; what it said until it answered."""
        [line] = SERVER.findall(text)
        assert text.rstrip().splitlines()[-1].startswith(line.strip()), "a server ends its block"
        named = re.search(r"--port (\d+)", line)
        shown = int(named[1]) if named else PORTS[" ".join(line.split()[:2]).split(" --")[0]]
        port = _free_port()
        started = f"exec {re.sub(r'--port [0-9]+', '', line).strip()} --port {port}"
        self.stand_ins[f"127.0.0.1:{shown}"] = f"127.0.0.1:{port}"
        log = Path(f"server-{port}.log")
        with log.open("w") as file:
            process = subprocess.Popen(
                ["bash", "-ec", text.replace(line, f"{started}\n")],
                env=_env(),
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.servers.callback(_stop, process)
        ready = "readyz" if line.startswith("convlab serve") else ""

        def said() -> str:
            return log.read_text().replace(f"127.0.0.1:{port}", f"127.0.0.1:{shown}")

        def is_up() -> bool:
            return _answers(f"http://127.0.0.1:{port}/{ready}") and all(
                each.is_part_of(said()) for each in commands.shown
            )

        if not _comes_true(is_up, process):
            self._fail(commands, "the server does not answer, or say what is shown", text, said())
        return said(), 0


def _run_here(text: str) -> tuple[str, int]:
    from convlab.cli.main import main

    said = io.StringIO()
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        before = dict(os.environ)  # Lightning's logger adds to it
        try:
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                status = main(shlex.split(line, comments=True)[1:])
        finally:
            os.environ.clear()
            os.environ.update(before)
        if status:
            return said.getvalue(), status
    return said.getvalue(), 0


def _env() -> dict[str, str]:
    return os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}", "PYTHONUNBUFFERED": "1"}


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _comes_true(condition: Callable[[], bool], process: "subprocess.Popen[bytes]") -> bool:
    """Whether it does before the process ends, and before patience does."""
    end = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.2)
    return False


def _answers(url: str) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        direct.open(url, timeout=10).close()
    except urllib.error.HTTPError as error:
        error.close()
        return error.code < 500
    except OSError:
        return False
    return True


def _stop(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is not None:
        return
    os.killpg(process.pid, 15)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.wait()
