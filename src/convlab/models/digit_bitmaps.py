"""The digits as LeNet-5's output layer knows them: 7x12 bitmaps, ink +1, background -1.

Source: figure 3 of LeCun, Bottou, Bengio, Haffner (1998), which prints them as a picture only. As read off
it by M. Wang in LeNet-from-Scratch (2018); other readings draw some digits otherwise. 0, 2, 4 and 5 are
small, with a bar on top. The figure has all of ASCII: alike characters got alike codes, so that what comes
after can tell that they may be confused.
"""

WIDTH, HEIGHT = 7, 12

_DRAWN = """
.#####.  ...##..  .#####.  #######  .#####.
.......  ..###..  .......  .....##  .......
..###..  .####..  .#####.  ....##.  .......
.##.##.  ...##..  ##...##  ...##..  .##..##
##...##  ...##..  #....##  ..####.  .##..##
##...##  ...##..  ....##.  .....##  ###..##
##...##  ...##..  ..###..  .....##  ##...##
##...##  ...##..  .##....  .....##  ##...##
.##.##.  ...##..  ##.....  ##...##  ##..###
..###..  .######  #######  .#####.  .######
.......  .......  .......  .......  .....##
.......  .......  .......  .......  .....##

.#####.  ..####.  #######  .#####.  .#####.
.......  .##....  .....##  ##...##  ##..###
#######  ##.....  .....##  ##...##  ##...##
##.....  ##.....  ....##.  ##...##  ##...##
##.....  ######.  ...##..  .#####.  ##..###
.####..  ###..##  ...##..  ##...##  .######
..####.  ##...##  ..##...  ##...##  .....##
.....##  ##...##  ..##...  ##...##  .....##
##...##  ###..##  ..##...  ##...##  ....##.
.#####.  .#####.  ..##...  .#####.  .####..
.......  .......  .......  .......  .......
.......  .......  .......  .......  .......
"""


def _codes() -> tuple[tuple[int, ...], ...]:
    blocks = [[line.split() for line in block.splitlines()] for block in _DRAWN.strip().split("\n\n")]
    bitmaps = ["".join(rows) for block in blocks for rows in zip(*block, strict=True)]
    return tuple(tuple(1 if dot == "#" else -1 for dot in bitmap) for bitmap in bitmaps)


# For each digit 84 values, row by row from the top.
DIGIT_CODES = _codes()
