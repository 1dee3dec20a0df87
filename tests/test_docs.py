"""The documentation: links as a reader of the repository follows them, and what the site is made of."""

import importlib.util
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
OUTSIDE = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "assets/sample/README.md")
PAGES = sorted([*(ROOT / page for page in OUTSIDE), *ROOT.glob("docs/**/*.md")])


def load_site() -> ModuleType:
    """docs/build_site.py, which is a program and in no package."""
    spec = importlib.util.spec_from_file_location("docs_site", ROOT / "docs" / "build_site.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def prose(page: Path) -> str:
    """A page without its code, where brackets are no links and # no headings."""
    text = re.sub(r"^( *)```.*?^\1```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"^(    |\t).*$", "", text, flags=re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """What GitHub calls a page's headings: lower case, no punctuation, hyphens for spaces."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            dead.append(target)
    assert not dead


def test_the_file_that_the_page_on_sweeps_shows_is_the_file() -> None:
    page = (ROOT / "docs" / "how-to" / "sweeps.md").read_text()
    [shown] = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    file = (ROOT / "conf" / "experiment" / "lenet_sweep.yaml").read_text().splitlines(keepends=True)
    assert file[0] == "# @package _global_\n"
    assert shown == "".join(line for line in file if line == file[0] or not line.startswith("#"))


def test_photos_a_second_are_what_performance_has() -> None:
    performance = (ROOT / "docs" / "performance.md").read_text()
    [median] = re.findall(r"^\| convlab, onnxruntime \| ([\d.]+) images/s", performance, re.MULTILINE)
    said = {page.name: re.findall(r"([\d.]+) photos\s(?:a|per)\ssecond", page.read_text()) for page in PAGES}
    assert {name: set(rates) for name, rates in said.items() if rates} == {
        "results.md": {f"{float(median):.0f}"},
        "09-transfer.md": {f"{float(median):.0f}"},
    }


def test_every_page_is_in_the_navigation() -> None:
    site = load_site()
    nav = set(_files(tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"]))
    staged = {str(page.relative_to(ROOT / "docs")) for page in PAGES if page.is_relative_to(ROOT / "docs")}
    outside = {"index.md", "contributing.md", "security.md", "changelog.md", "sample.md"}
    assert nav == staged | outside | {f"api/{room}.md" for room in ("commands", *site.rooms())}


def _files(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    else:
        for each in nav.values() if isinstance(nav, dict) else nav:
            yield from _files(each)


def test_a_reference_page_has_every_module() -> None:
    site = load_site()
    page = site.reference("features")
    modules = re.findall(r"^::: (\S+)$", page, re.MULTILINE)
    assert modules[0] == "convlab.features"
    assert {"convlab.features.cache", "convlab.features.runtimes.choice"} <= set(modules)
    assert len(modules) == len(set(modules))
    assert "::: convlab.cli.main" in site.reference("cli")


def test_a_fence_says_what_the_site_s_builder_knows() -> None:
    page = (
        "```bash slow\ntrue\n```\n```console slow about\n$ true\n```\n```text about\nx\n```\n"
        "```yaml conf/a.yaml\n"
    )
    assert load_site().fences(page) == (
        '```bash\ntrue\n```\n```console\n$ true\n```\n```text\nx\n```\n```yaml title="conf/a.yaml"\n'
    )
