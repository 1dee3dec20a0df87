"""Addresses of views of the image browser: what a number in the report links to."""

from urllib.parse import urlencode

from markupsafe import Markup

from convlab.runs.report.comparison import SENTENCE, Verdict


def images(run: str, **filters: str) -> str:
    """The address of those of a run's images that `filters` leave (`FIELDS` in browser/answers.js).

    true_class stands for `true`: its name, as that of `predicted`.
    """
    said = {"true" if name == "true_class" else name: value for name, value in filters.items()}
    return "#images?" + urlencode({"model": run, **said})


def verdict(found: Verdict) -> Markup:
    """Its sentence; each number leads to its images."""
    words = found.words()
    if not words:
        return Markup.escape(found.sentence)
    addresses = {
        "discordant": images(found.best, other=found.second, there="opposite"),
        "only_best": images(found.best, answer="right", other=found.second, there="wrong"),
        "only_second": images(found.best, answer="wrong", other=found.second, there="right"),
    }
    linked = {name: Markup('<a href="{}">{}</a>').format(to, words[name]) for name, to in addresses.items()}
    return Markup(SENTENCE).format_map({name: Markup.escape(text) for name, text in words.items()} | linked)
