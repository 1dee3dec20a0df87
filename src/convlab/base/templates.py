"""The one set-up of jinja2 for everything that is written from a `*.jinja` file."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape


def environment(folder: Path) -> Environment:
    """Templates of `folder`: values are escaped in `*.html.jinja`; a name that isn't there is an error."""
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=select_autoescape(["html.jinja"], default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
