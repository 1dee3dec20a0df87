"""Show a trained network on a web page, and answer programs: JSON over HTTP.

usage: convlab serve [--model NAME] [--host 127.0.0.1] [--port 8000] [--unsure 0.5]
                     [--max-mb 10] [--timeout 10]

  --model NAME     as `convlab predict` takes it: champion, champion/<data>, a run, a complete model's
                   directory, a backbone; champion unless given
  --host ADDRESS   only this machine can reach 127.0.0.1; 0.0.0.0 is every network this machine is in
  --port N         0: any free one
  --unsure P       an answer with a probability below P (0 to 1) is said to be unsure
  --max-mb N       a larger image is refused, megabytes
  --timeout N      seconds from a request to its answer, receiving the image included

Prints the address once the model is loaded. On the page, draw a digit or drop a photo: it shows the
probabilities and what the network saw. The interface for programs is described at /docs, as OpenAPI at
/openapi.json; for those who run it there are /healthz, /readyz, /version and /metrics (Prometheus).
Ctrl-C ends it.

examples
  convlab serve
  convlab serve --model lenet --port 8001
  curl --data-binary @rose.jpg -H 'Content-Type: image/jpeg' 'http://127.0.0.1:8000/predict?top=3'
"""

import argparse
import errno
import math
import socket

from convlab.base.console import console
from convlab.base.errors import ConvlabError

ANYWHERE = ("0.0.0.0", "::")


def run(args: list[str]) -> int:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="convlab serve", add_help=False)
    parser.add_argument("--model", default="champion")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--unsure", type=float, default=0.5)
    parser.add_argument("--max-mb", type=float, default=10)
    parser.add_argument("--timeout", type=float, default=10)
    options = parser.parse_args(args)
    for name in ("max_mb", "timeout"):
        if not 0 < getattr(options, name) < math.inf:
            raise ConvlabError(f"--{name.replace('_', '-')} {getattr(options, name)}: choose more than 0.")
    if not 0 <= options.unsure <= 1:
        raise ConvlabError(f"--unsure {options.unsure}: choose a probability from 0 to 1.")
    if not 0 <= options.port <= 65535:
        raise ConvlabError(f"--port {options.port}: choose 0 to 65535.")
    with _listening(options.host, options.port) as listener:
        return _serve(listener, options)


def _serve(listener: socket.socket, options: argparse.Namespace) -> int:
    import uvicorn

    from convlab.serving.app import create_app
    from convlab.serving.body import Limits
    from convlab.serving.served import Served

    host, port = options.host, listener.getsockname()[1]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def ready() -> None:
        console.print(f"{options.model}: {address}  (Ctrl-C ends it)", markup=False)

    def failed() -> None:
        server.should_exit = True

    limits = Limits(int(options.max_mb * 1e6), options.timeout)
    hosts = ["*"] if host in ANYWHERE else ["127.0.0.1", "localhost", f"[{host}]" if ":" in host else host]
    app = create_app(lambda: Served(options.model), limits, options.unsure, hosts, ready, failed)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=math.ceil(options.timeout),
        )
    )
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        return 0
    if app.state.service.failure:
        raise app.state.service.failure
    return 0


def _listening(host: str, port: int) -> socket.socket:
    """A socket bound to the address; ConvlabError if that is not possible."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConvlabError(f"port {port} is in use. Choose another: --port {port + 1}, or 0.") from None
        raise ConvlabError(f"--host {host} --port {port}: {error.strerror or error}.") from None
    return listener
