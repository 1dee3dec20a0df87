"""Write docs/performance.md's table and pictures from results.json.

usage: .venv/bin/python benchmarks/report.py

Rewrites what is between the page's two markers; the words around it are kept.
"""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from record import RESULTS, number

from convlab.base.console import console
from convlab.figures import style as look

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "performance.md"
PICTURES = ROOT / "docs" / "images"
BEGIN, END = "<!-- measured: written by `make bench` -->", "<!-- end of what was measured -->"
VERDICTS = {None: "", True: "met", False: "**missed**"}


def main() -> None:
    results: dict[str, dict[str, Any]] = json.loads(RESULTS.read_text())
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    usual = Counter(map(machine, results.values())).most_common(1)[0][0]
    parts = [f"Measured on {usual}, unless a section names another machine.\n"]
    parts += [section(program, result, usual) for program, result in results.items()]
    for program, draw in PLOTS.items():
        if program in results:
            path = PICTURES / f"performance-{program.removeprefix('bench_')}.png"
            draw(results[program]).savefig(path)
            parts.append(f"![{ALT[program]}](images/{path.name})\n")
    PAGE.write_text(f"{before}{BEGIN}\n\n" + "\n".join(parts) + f"\n{END}{after}")
    console.print(f"written: {PAGE.relative_to(ROOT)}", markup=False)


def section(program: str, result: dict[str, Any], usual: str) -> str:
    lines = [f"### {result['title'][0].upper()}{result['title'][1:]}", ""]
    lines += [
        f"`benchmarks/{re.sub('_(best|gpu)$', '', program)}.py`. Peer: {result['peer']}. Warm-up: "
        f"{result['warm_up']}. Repetitions: {result['repetitions']}. Measured {result['measured']}"
        + (f" on {machine(result)}." if machine(result) != usual else "."),
        "",
        "| | median | range | goal | |",
        "| --- | --- | --- | --- | --- |",
    ]
    for each in result["figures"]:
        low, high = min(each["values"]), max(each["values"])
        spread = f"{number(low)} to {number(high)}" if len(each["values"]) > 1 else ""
        unit = f" {each['unit']}" if each["unit"] else ""
        lines.append(
            f"| {each['name']} | {number(each['median'])}{unit} | {spread} | {each['goal']} | "
            f"{VERDICTS[each['met']]} |"
        )
    return "\n".join(lines) + "\n"


def machine(result: dict[str, Any]) -> str:
    about = result["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in about["packages"].items())
    return (
        f"{about['cores']} cores of {about['processor']}, accelerator: {about['accelerator']}, "
        f"{about['system']}, Python {about['python']}, {packages}"
    )


@look.styled
def cache_growth(result: dict[str, Any]) -> Figure:
    """Seconds and memory of a run over a cache, from 1,000 to 100,000 photos."""
    data = result["data"]
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    seconds, memory = figure.subplots(1, 2)
    kinds = (("nothing_new", "nothing new"), ("one_percent", "1 % new"))
    for place, (key, label) in enumerate(kinds):
        style = {"color": look.SERIES[place], "marker": look.MARKERS[place], "label": label}
        seconds.loglog(data["num_photos"], data[f"{key}_s"], look.DASHES[place], **style)
        memory.semilogx(data["num_photos"], data[f"{key}_mb"], look.DASHES[place], **style)
    seconds.set(xlabel="photos in the cache", ylabel="seconds, start-up included", title="time")
    memory.set(xlabel="photos in the cache", ylabel="MB, peak", title="memory")
    memory.set_ylim(0)
    for axes in (seconds, memory):
        axes.legend()
    return figure


@look.styled
def time_to_99(result: dict[str, Any]) -> Figure:
    """Whole processes, from their start to a network that is right on 99 % of the test images."""
    bars = {
        each["name"].removesuffix(": whole process"): each["median"]
        for each in result["figures"]
        if each["unit"] == "s"
    }
    figure = Figure(figsize=(7, 2.2), layout="constrained")
    axes = figure.subplots()
    drawn = axes.barh(list(bars), list(bars.values()), color=look.SERIES[: len(bars)], height=0.6)
    axes.bar_label(drawn, [f" {seconds:.0f} s" for seconds in bars.values()])
    axes.set(
        xlabel="seconds from the start of the process",
        title="MNIST to 99 %",
        xlim=(0, 1.12 * max(bars.values())),
    )
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    return figure


PLOTS = {"bench_mnist": time_to_99, "bench_cache": cache_growth}
ALT = {
    "bench_mnist": "Seconds to 99 % on MNIST: PyTorch's example, lenet, lenet_fast",
    "bench_cache": "Time and memory of a run over the cache, from 1,000 to 100,000 photos",
}


if __name__ == "__main__":
    main()
