"""Damage that a decoder passes over: a JPEG without its end, or with bytes that no encoder writes.

libjpeg fills what it can't read with grey or with garbage and calls it a picture, as Pillow then does.
"""

import numpy as np
from numpy.typing import NDArray

SOI, EOI, SOS, DRI = 0xD8, 0xD9, 0xDA, 0xDD  # the second byte of a marker; the first is 0xFF
RESTARTS = range(0xD0, 0xD8)
# ITU-T T.81, B.1.1: in a scan, 0xFF stands before 0 (stuffing), a restart, fill, or the next segment's marker
IN_SCANS = np.isin(
    np.arange(256), [0, 0xC4, *RESTARTS, EOI, SOS, 0xDB, 0xDC, DRI, *range(0xE0, 0xF0), 0xFE, 0xFF]
)
FOLLOWERS = (b"\xff\xd8", b"ftyp")  # what cameras put behind a picture: another one, a film


def doubt(data: bytes) -> str | None:
    """Why the picture in these bytes may not be what it was; None if nothing speaks against it."""
    start, restarts = _first_scan(data)
    if start is None:
        return None
    values = np.frombuffer(data, np.uint8, offset=start)
    places = np.flatnonzero(values[:-1] == 0xFF)
    markers = values[places + 1]
    ends = np.flatnonzero(markers == EOI)
    if not len(ends):
        return "it has no end: part of the picture may be missing"
    end = int(places[ends[0]])
    if end < len(values) - end and not any(other in data[start + end :] for other in FOLLOWERS):
        return "it ends early: part of the picture may be missing"
    markers = markers[: ends[0]]
    if not IN_SCANS[markers].all() or not _in_order(markers, restarts):
        return "it is damaged: parts of the picture may be garbage"
    return None


def _first_scan(data: bytes) -> tuple[int | None, bool]:
    """Where the first scan of a JPEG begins, or None; and whether restarts are defined before it."""
    if data[:2] != bytes([0xFF, SOI]):
        return None, False
    place, restarts = 2, False
    while data[place : place + 1] == b"\xff" and place + 4 <= len(data):
        marker = data[place + 1]
        if marker == 0xFF:  # fill
            place += 1
            continue
        if marker == SOS:
            return place + 2, restarts
        restarts |= marker == DRI and data[place + 4 : place + 6] != b"\0\0"
        place += 2 + int.from_bytes(data[place + 2 : place + 4])
    return None, restarts


def _in_order(markers: NDArray[np.uint8], restarts: bool) -> bool:
    """Whether the restarts count 0 to 7 over and over, anew in each scan; where there are any."""
    found = markers[(markers == SOS) | ((markers >= RESTARTS[0]) & (markers <= RESTARTS[-1]))]
    if not len(found) or (markers == DRI).any():  # defined anew between scans
        return True
    expected = RESTARTS[0]
    for marker in found.tolist():
        if marker == SOS:
            expected = RESTARTS[0]
        elif not restarts or marker != expected:
            return False
        else:
            expected = RESTARTS[(expected + 1) % len(RESTARTS)]
    return True
