"""A writer into a shared space, which kills itself at its n-th write; prints what it committed."""

import os
import signal
import sys

from numbers_space import DIM, IDENTITY, content, vectors

from convlab.base.object_store import ObjectStore
from convlab.features.shared import cache as module

if __name__ == "__main__":
    bucket, first, left = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    module.SHARD_BYTES = 10 * DIM * 4
    module.LONGEST_TAIL = 4

    def dying(name: str) -> None:
        real = getattr(ObjectStore, name)

        def write(*arguments):
            global left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments)

        setattr(ObjectStore, name, write)

    for name in ("put", "create", "replace"):
        dying(name)
    with module.SharedCache(f"{bucket}/vectors", "numbers", IDENTITY) as cache:
        for i in range(first, first + 10, 2):
            cache.add([content(i), content(i + 1)], vectors([i, i + 1]))
            cache.flush()
            print(i, i + 1, flush=True)
