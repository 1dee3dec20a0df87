"""`convlab serve` under load: so many clients, each asking again as soon as it is answered.

usage: python benchmarks/load_serve.py --model NAME (--digits | --photos DIRECTORY)
                                       [--clients 50] [--seconds 60] [--timeout 10]

Starts a server on this machine and sends real images: MNIST's test digits as PNG files, or the JPEG files of
a directory. Prints errors, throughput, the answers' times, the batches and the server's memory. Clients and
server share the machine's cores, so the throughput is below what the server alone could do.
"""

import argparse
import http.client
import io
import itertools
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

NUM_IMAGES = 200
WARM_UP_S = 5.0


@dataclass
class Client:
    """One connection, kept open, until `until` on time.perf_counter's clock."""

    address: tuple[str, int]
    images: list[bytes]
    kind: str
    first: int
    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def run(self, until: float) -> None:
        connection = http.client.HTTPConnection(*self.address, timeout=60)
        for number in itertools.count(self.first):
            begun = time.perf_counter()
            if begun >= until:
                return
            try:
                image = self.images[number % len(self.images)]
                connection.request("POST", "/predict", image, {"Content-Type": self.kind})
                answer = connection.getresponse()
                content = answer.read()
                if answer.status != 200:
                    self.errors.append(f"{answer.status} {content.decode()}")
            except OSError as error:
                self.errors.append(repr(error))
                connection.close()
            self.seconds.append(time.perf_counter() - begun)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    images = parser.add_mutually_exclusive_group(required=True)
    images.add_argument("--digits", action="store_true")
    images.add_argument("--photos", type=Path)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--timeout", type=float, default=10, help="the server's, in seconds")
    options = parser.parse_args()
    files, kind = (digits(), "image/png") if options.digits else (photos(options.photos), "image/jpeg")
    command = [sys.executable, "-u", "-m", "convlab", "serve", "--model", options.model, "--port", "0"]
    command += ["--timeout", str(options.timeout)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            found = re.search(r"http://(\S+):(\d+)", server.stdout.readline())  # once the model is loaded
            address = found[1], int(found[2])
            load(address, files, kind, options.clients, WARM_UP_S)
            before = psutil.Process(server.pid).memory_info().rss
            clients = load(address, files, kind, options.clients, options.seconds)
            after = psutil.Process(server.pid).memory_info().rss
            batches = batch_sizes(address)
        finally:
            server.terminate()
    times = np.concatenate([client.seconds for client in clients]) * 1000
    errors = [error for client in clients for error in client.errors]
    print(f"{options.model}: {options.clients} clients, {options.seconds:g} s")
    print(f"answers {len(times):,}, errors {len(errors)}{': ' + errors[0] if errors else ''}")
    print(f"throughput {len(times) / options.seconds:,.0f} images/s")
    print(
        "p50 {:.0f} ms, p95 {:.0f} ms, p99 {:.0f} ms, slowest {:.0f} ms".format(
            *np.percentile(times, (50, 95, 99, 100))
        )
    )
    print(f"images a batch {batches:.1f} on average")
    print(f"memory of the server {before / 1e6:,.0f} MB before, {after / 1e6:,.0f} MB after")


def load(address: tuple[str, int], files: list[bytes], kind: str, num: int, seconds: float) -> list[Client]:
    clients = [Client(address, files, kind, number * 7) for number in range(num)]
    until = time.perf_counter() + seconds
    threads = [threading.Thread(target=client.run, args=(until,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return clients


def batch_sizes(address: tuple[str, int]) -> float:
    connection = http.client.HTTPConnection(*address, timeout=60)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    images, batches = (
        float(re.search(rf"^convlab_batch_size_{name} (\S+)$", text, re.MULTILINE)[1])
        for name in ("sum", "count")
    )
    return images / batches


def digits() -> list[bytes]:
    from convlab.data.mnist import Mnist
    from convlab.data.preprocessing import Preprocessing

    plain = Preprocessing(size=28, channels=1, pixel_mean=(0,), pixel_std=(1,))
    data, files = Mnist("datasets/mnist", plain, 100), []
    for index in range(NUM_IMAGES):
        file = io.BytesIO()
        data.image("test", index).save(file, "PNG")
        files.append(file.getvalue())
    return files


def photos(directory: Path) -> list[bytes]:
    files = sorted(directory.rglob("*.jpg"))
    return [file.read_bytes() for file in files[:: max(1, len(files) // NUM_IMAGES)]]


if __name__ == "__main__":
    main()
