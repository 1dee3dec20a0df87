"""The tutorial: its pages follow one another, each has pictures, every link leads somewhere.

What the pages run, test_pages.py runs.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
TUTORIAL = DOCS / "tutorial"
PAGES = sorted(path for path in TUTORIAL.glob("*.md") if path.name != "README.md")
WRITTEN = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
MAX_PICTURE_BYTES = 300_000

FENCE = re.compile(r"^```[^\n`]*\n.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?P<picture>!?)\[[^\]]*\]\((?P<target>[^()\s]+)\)")
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
SCHEME = re.compile(r"[a-z]+:")


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def anchors(path: Path) -> set[str]:
    found: set[str] = set()
    for heading in HEADING.findall(FENCE.sub("", path.read_text())):
        anchor, number = slug(heading), 0
        while anchor in found:
            number += 1
            anchor = f"{slug(heading)}-{number}"
        found.add(anchor)
    return found


def links(path: Path, pictures: bool = False) -> list[str]:
    """Targets of the page's links, or of its pictures alone; what is code is no link."""
    prose = re.sub(r"`[^`\n]*`", "", FENCE.sub("", path.read_text()))
    return [link["target"] for link in LINK.finditer(prose) if link["picture"] or not pictures]


def test_the_index_has_every_page_in_order():
    listed = [target for target in links(TUTORIAL / "README.md") if re.fullmatch(r"\d\d-[\w-]+\.md", target)]
    assert listed == [page.name for page in PAGES]
    assert [int(name[:2]) for name in listed] == list(range(1, len(listed) + 1))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_pictures_and_leads_to_the_next(page):
    pictures = [page.parent / target for target in links(page, pictures=True)]
    assert pictures
    for picture in pictures:
        assert picture.stat().st_size < MAX_PICTURE_BYTES, picture.name
    if page != PAGES[-1]:
        assert PAGES[PAGES.index(page) + 1].name in links(page)


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    for target in links(path):
        if SCHEME.match(target):
            continue
        name, _, anchor = target.partition("#")
        file = path.parent / name if name else path
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def test_anchors_as_github_makes_them(tmp_path):
    path = tmp_path / "page.md"
    path.write_text("# Output size\n\n```bash\n# no heading\n```\n## `P`, ceil (PyTorch)\n## Output size\n")
    assert anchors(path) == {"output-size", "p-ceil-pytorch", "output-size-1"}
