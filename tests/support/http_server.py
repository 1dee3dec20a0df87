"""A real web server on 127.0.0.1 that misbehaves on request, and remembers what it was asked."""

import hashlib
import http.server
import re
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from urllib.parse import unquote


@dataclass
class Served:
    """One answered request: the request's Range header, the status, and how many bytes of body went out."""

    path: str
    range: str | None
    status: int
    sent_bytes: int = 0


@dataclass
class Site:
    """What is served, and how. `drops` and `answers` are used up, one for each request of that path."""

    files: dict[str, bytes] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    drops: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))  # break off after n bytes
    answers: dict[str, list[tuple[int, dict[str, str]]]] = field(default_factory=lambda: defaultdict(list))
    ranges: bool = True
    range_shift: int = 0  # how far beyond the range that was asked for to start
    etags: bool = True
    bytes_per_s: float | None = None
    log: list[Served] = field(default_factory=list)
    url: str = ""

    def paths(self) -> list[str]:
        return [served.path for served in self.log]


class Handler(http.server.BaseHTTPRequestHandler):
    site: Site

    def do_GET(self) -> None:
        path = unquote(self.path).lstrip("/")
        if self.site.answers[path]:
            self._answer(path, *self.site.answers[path].pop(0))
        elif path not in self.site.files:
            self._answer(path, 404, {})
        else:
            self._serve(path, self.site.files[path])

    def _answer(self, path: str, status: int, headers: dict[str, str]) -> None:
        self.site.log.append(Served(path, self.headers["Range"], status))
        self.send_response(status)
        for name, value in (headers | {"Content-Length": "0"}).items():
            self.send_header(name, value)
        self.end_headers()

    def _serve(self, path: str, content: bytes) -> None:
        etag = f'"{hashlib.md5(content).hexdigest()}"'
        match = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        unchanged = self.headers["If-Range"] in (None, etag)
        start = int(match[1]) + self.site.range_shift if match and unchanged and self.site.ranges else 0
        if start and start >= len(content):
            self._answer(path, 416, {"Content-Range": f"bytes */{len(content)}"})
            return
        served = Served(path, self.headers["Range"], 206 if start else 200)
        self.site.log.append(served)
        self.send_response(served.status)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if self.site.etags:
            self.send_header("ETag", etag)
        for name, value in self.site.headers[path].items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = start + self.site.drops[path].pop(0) if self.site.drops[path] else len(content)
        self._send(content[start:end], served)
        self.close_connection = True

    def _send(self, body: bytes, served: Served) -> None:
        block = 8192
        for offset in range(0, len(body), block):
            served.sent_bytes += len(
                body[offset : offset + block]
            )  # first: the client may be done right after
            self.wfile.write(body[offset : offset + block])
            if self.site.bytes_per_s:
                time.sleep(block / self.site.bytes_per_s)

    def log_message(self, *args: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    """Serves `site` from a thread of its own until `stop`."""

    daemon_threads = True

    def __init__(self) -> None:
        self.site = Site()
        super().__init__(("127.0.0.1", 0), type("SiteHandler", (Handler,), {"site": self.site}))
        self.site.url = f"http://127.0.0.1:{self.server_port}"
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def stop(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, *args: object) -> None:
        pass  # a client that was killed in the middle is part of the tests
