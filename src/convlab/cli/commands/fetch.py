"""Fetch datasets and pretrained weights: verified, resumable, all or nothing.

usage: convlab fetch NAME... [--force]

NAME is a file in conf/data/ or conf/backbone/ that lists `sources`:

  mnist          60,000 + 10,000 handwritten digits -> datasets/mnist/
  flowers        photos of flowers in five classes  -> datasets/flowers/<class>/
  inception_v3   weights trained on ImageNet        -> weights/inception_v3/

Each file is asked from the URLs in the configuration, in their order, and compared with the published
size and checksum. Archives are unpacked and their content is checked. Only when all is well does the
folder appear, with a provenance.json that says where each file came from and what it hashes to. A
folder that is already there and intact is left alone; one that has been damaged is fetched again.

Stopped or cut off? The same command resumes. What has arrived waits in
.convlab/downloads/, which may be deleted at any time.

On a machine without access to these URLs, let CONVLAB_MIRROR name a mirror: a folder, or an http(s)
URL, that `convlab mirror` made elsewhere. It is asked first. If it holds a substitute for a published
file, a warning says so, and provenance.json keeps the note.

options:
  --force   fetch again even if all is there, for instance to replace a substitute

examples:
  convlab fetch mnist
  convlab fetch flowers inception_v3
  CONVLAB_MIRROR=/media/usb/mirror convlab fetch mnist flowers inception_v3
"""

import argparse

from convlab.base.errors import ConvlabError
from convlab.data.fetching import sources
from convlab.data.fetching.datasets import fetch_all


def run(args: list[str]) -> int:
    """Fetch each name in turn; the first failure ends it."""
    parser = argparse.ArgumentParser(prog="convlab fetch", add_help=False)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--force", action="store_true")
    options = parser.parse_args(args)
    if not options.names:
        raise ConvlabError(f"fetch what? Choose from: {', '.join(sources.names())}.")
    fetch_all(options.names, options.force)
    return 0
