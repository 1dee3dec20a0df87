"""What the report's image browser shows: the runs' answers, and the images that they share."""

from typing import Any

from convlab.runs.report.browser import payload
from convlab.runs.report.comparison import Comparison
from convlab.runs.report.pictures import Pictures
from convlab.runs.run import Run


class ImageSets:
    """Runs on the same images, by their labels and paths, share a set.

    A run that an earlier version evaluated knows no paths: it joins a set of the same labels, which is also
    how McNemar's test pairs runs.
    """

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures
        self._sets: list[dict[str, Any]] = []
        self._places: dict[tuple[Any, ...], int] = {}
        self.models: list[dict[str, Any]] = []

    def add(self, run: Run) -> None:
        """With its predictions, if it has any."""
        if run.predictions is None:
            return
        labels, probabilities = run.predictions
        known = (tuple(run.classes), labels.tobytes())
        images = run.test_images
        place = self._places.get((*known, *images.paths) if images else known)
        if place is None:
            place = len(self._sets)
            self._sets.append(self._set(run))
            if images:
                self._places[*known, *images.paths] = place
            self._places.setdefault(known, place)
        self.models.append(payload.answers(run.name, place, *payload.likeliest(probabilities)))

    def script(self, root: str) -> Any:
        return payload.script(self.models, self._sets, root)

    def _set(self, run: Run) -> dict[str, Any]:
        labels = None if run.predictions is None else run.predictions[0]
        images = run.test_images
        if images is None:
            note = f"{run.name} was evaluated by an earlier version, which kept neither paths nor pictures: "
            return payload.images(
                run.classes, labels, None, None, f"{note}`convlab evaluate {run.argument}` writes them."
            )
        listed = [
            {
                "src": self._pictures.add(images.folder / sheet.file),
                "cell": sheet.cell,
                "columns": sheet.columns,
                "sizes": sheet.sizes,
            }
            for sheet in images.sheets
        ]
        return payload.images(run.classes, labels, images.paths, payload.sheets(listed))


def of(comparison: Comparison, pictures: Pictures) -> ImageSets:
    """Those of every run; the ones that know their images come first, so that others can join them."""
    sets = ImageSets(pictures)
    ranked = [run for data in comparison.data_sets for run in data.ranked]
    for run in sorted(ranked, key=lambda run: run.test_images is None):
        sets.add(run)
    order = {run.name: place for place, run in enumerate(ranked)}
    sets.models.sort(key=lambda model: order[model["name"]])
    return sets
