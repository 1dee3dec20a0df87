"""Looks are kept between runs, whatever a kill leaves."""

from convlab.features.looks_kept import LooksKept


def test_what_is_added_is_known_again(tmp_path):
    looks = {"ab" * 32: b"x" * 16, "cd" * 32: b"y" * 16}
    LooksKept(tmp_path / "looks").add(looks)
    again = LooksKept(tmp_path / "looks")
    again.add(looks)
    assert again.of(["cd" * 32, "ef" * 32]) == {"cd" * 32: b"y" * 16}
    assert (tmp_path / "looks").stat().st_size == 2 * 48


def test_half_a_row_at_the_end_is_dropped(tmp_path):
    LooksKept(tmp_path / "looks").add({"ab" * 32: b"x" * 16})
    with (tmp_path / "looks").open("ab") as file:
        file.write(b"cut off")
    LooksKept(tmp_path / "looks").add({"cd" * 32: b"y" * 16})
    assert len(LooksKept(tmp_path / "looks").of(["ab" * 32, "cd" * 32])) == 2
