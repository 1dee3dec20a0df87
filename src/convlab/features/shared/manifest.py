"""Which objects a space consists of: one small object, replaced only while it is what was read.

So any number of writers need no lock: who finds it changed reads it again and repeats the change.
"""

import json
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from convlab.base.errors import ConvlabError
from convlab.base.object_store import MissingObject, ObjectStore

NAME = "manifest.json"
FORMAT = 1
TRIES = 60
PAUSE_S = 0.05  # after a lost race, up to so long at first; doubled up to LONGEST_S
LONGEST_S = 2.0


@dataclass(frozen=True)
class Manifest:
    """partitions: of the index, 2^bits lists of tables by the first bits of their keys.
    tail: tables of any keys, which came since.
    lost: shards that were found damaged or missing; rows that lie in them count as absent.
    rows: how many the partitions have, counted with repeats.
    """

    bits: int = 0
    partitions: tuple[tuple[str, ...], ...] = ((),)
    tail: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    rows: int = 0

    def tables(self) -> set[str]:
        """The names of all tables."""
        return {name for part in self.partitions for name in part} | set(self.tail)

    def with_tail(self, names: list[str]) -> "Manifest":
        """With these tables, once each."""
        known = self.tables()
        return replace(self, tail=(*self.tail, *(name for name in names if name not in known)))

    def to_json(self) -> bytes:
        return json.dumps({"format": FORMAT, **asdict(self)}, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, data: bytes, place: str) -> "Manifest":
        """Raises ConvlabError for what is none."""
        try:
            said = json.loads(data)
            if said.pop("format") != FORMAT:
                raise ConvlabError(
                    f"{place} is of another version of convlab: use that one, or another prefix"
                )
            partitions = tuple(tuple(map(str, part)) for part in said.pop("partitions"))
            found = cls(
                partitions=partitions, tail=tuple(said.pop("tail")), lost=tuple(said.pop("lost")), **said
            )
        except (ValueError, TypeError, LookupError, AttributeError):
            raise ConvlabError(
                f"{place} is damaged. Delete it: the next use makes it anew from the shards."
            ) from None
        if len(found.partitions) != 2**found.bits:
            raise ConvlabError(f"{place} is damaged. Delete it: the next use makes it anew from the shards.")
        return found


def read(store: ObjectStore) -> Manifest | None:
    """The present one; None where there is none yet."""
    try:
        return Manifest.from_json(store.get(NAME), f"{store.address}/{NAME}")
    except MissingObject:
        return None


def advance(store: ObjectStore, change: Callable[[Manifest], Manifest | None]) -> Manifest | None:
    """Put `change` of the present manifest in its place, whoever else does the same; returns the new one.

    change: called anew after each lost race. None from it: nothing is changed, and None is returned.
    """
    pause = PAUSE_S
    for _ in range(TRIES):
        try:
            data, tag = store.get_tagged(NAME)
            present = Manifest.from_json(data, f"{store.address}/{NAME}")
        except MissingObject:
            tag, present = None, Manifest()
        wanted = change(present)
        if wanted is None or wanted == present:
            return wanted
        new = wanted.to_json()
        if store.create(NAME, new) if tag is None else store.replace(NAME, new, tag):
            return wanted
        time.sleep(random.uniform(0, pause))
        pause = min(2 * pause, LONGEST_S)
    raise ConvlabError(
        f"{store.address}/{NAME} was changed by others at each of {TRIES} tries. What was computed is there: "
        "run it again when fewer write."
    )
