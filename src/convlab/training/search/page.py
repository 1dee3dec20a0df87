"""A search as one self-contained HTML page; `page.html.jinja` is its text."""

from pathlib import Path

from markupsafe import Markup
from matplotlib.figure import Figure

from convlab.base import templates
from convlab.base.files import write_json, write_text
from convlab.figures.style import BLUE
from convlab.runs.report.svg import svg
from convlab.training.search import figures
from convlab.training.search.outcome import Outcome, summary
from convlab.training.search.space import show_value


def write(outcome: Outcome) -> None:
    """Write study.json and report.html."""
    directory = outcome.plan.directory
    write_json(directory / "study.json", outcome.to_dict())
    write_text(directory / "report.html", page(outcome))


def page(outcome: Outcome) -> str:
    """The page's HTML, with figures for what the trials allow."""
    environment = templates.environment(Path(__file__).parent)
    environment.filters |= {"short": show_value}
    trials = sorted(outcome.trials, key=lambda trial: trial["number"])
    template = environment.get_template("page.html.jinja")
    return template.render(
        name=outcome.plan.name,
        metric=outcome.plan.metric,
        summary=summary(outcome),
        best=outcome.best,
        commands=outcome.commands() if outcome.best else [],
        paths=list(outcome.plan.distributions),
        trials=trials,
        figures=[(title, _picture(figure, f"f{n}")) for n, (title, figure) in enumerate(_figures(outcome))],
    )


def _picture(figure: Figure, salt: str) -> Markup:
    """As SVG; its thin blue lines become the page's blue, which is lighter in dark mode."""
    return Markup(svg(figure, salt).replace(BLUE, "var(--blue)"))


def _figures(outcome: Outcome) -> list[tuple[str, Figure]]:
    plan = outcome.plan
    shown = [trial for trial in outcome.trials if trial["value"] is not None]
    if not shown:
        return []
    maximize = plan.direction == "maximize"
    numbers, values = [trial["number"] for trial in shown], [trial["value"] for trial in shown]
    pruned = [trial["state"] == "pruned" for trial in shown]
    parameters = [trial["parameters"] for trial in shown]
    drawn = [("Each trial's result", figures.history(numbers, values, pruned, maximize, plan.metric))]
    if outcome.importances:
        drawn.append(("Parameter importances", figures.importances(outcome.importances)))
    parallel = figures.parallel_coordinates(
        parameters, values, pruned, plan.distributions, maximize, plan.metric
    )
    return [*drawn, ("Parallel coordinates of the trials", parallel)]
