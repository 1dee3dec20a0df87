"""Which maps of S2 each map of C3 reads in LeNet-5: table I of LeCun, Bottou, Bengio, Haffner (1998).

Six maps are too few for all of them to differ: the table gives each map of C3 another selection, so that
they must become different, and it spares 36 of 96 kernels.
"""

Table = tuple[tuple[int, ...], ...]  # for each output map, the input maps that it reads


def _contiguous(count: int) -> Table:
    """Every `count` neighbours of the six, the last followed by the first."""
    return tuple(tuple(sorted((first + step) % 6 for step in range(count))) for first in range(6))


C3_TABLE: Table = (
    *_contiguous(3),  # maps 0 to 5
    *_contiguous(4),  # maps 6 to 11
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)),  # maps 12 to 14: two pairs each
    (0, 1, 2, 3, 4, 5),  # map 15
)
