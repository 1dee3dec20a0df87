"""A comparison as files: comparison.json, .csv, .md and .html, and the page's pictures/."""

import csv
import io
import json
import os
from pathlib import Path
from urllib.parse import quote

from convlab.base.files import write_text
from convlab.base.project import project_dir
from convlab.runs.report.comparison import Comparison
from convlab.runs.report.cross_validations import CrossValidation
from convlab.runs.report.pictures import Pictures
from convlab.runs.report.tables import markdown


def write(directory: Path, compared: Comparison, validated: list[CrossValidation]) -> None:
    """Write the four files into `directory`, each replaced at once, and before them the pictures of the page.

    Equal runs make equal files.
    """
    from convlab.runs.report.page import page  # matplotlib: only when there is something to draw

    pictures, root = Pictures(), os.path.relpath(project_dir(), directory)
    html = page(compared, validated, pictures, f"{quote(Path(root).as_posix())}/")
    pictures.write(directory)
    contents = {
        "comparison.json": as_json(compared, validated) + "\n",
        "comparison.csv": as_csv(compared),
        "comparison.md": markdown(compared, validated),
        "comparison.html": html,
    }
    for name, text in contents.items():
        write_text(directory / name, text)


def as_json(compared: Comparison, validated: list[CrossValidation]) -> str:
    """All that is known, without a final newline."""
    rows = {"cross_validations": [each.row() for each in validated]} if validated else {}
    return json.dumps(compared.to_dict() | rows, indent=2, ensure_ascii=False, allow_nan=False)


def as_csv(compared: Comparison) -> str:
    """A line for each run; empty where there are only cross-validations."""
    text = io.StringIO()
    rows = [row for data in compared.data_sets for row in data.rows()]
    if not rows:
        return ""
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "substitutes": "; ".join(row["substitutes"])} for row in rows)
    return text.getvalue()
