"""A candidate beside the champion, test image by test image."""

import numpy as np
from numpy.typing import NDArray

from convlab.base.errors import ConvlabError
from convlab.prediction import complete_model
from convlab.promotion.evidence import Pairing
from convlab.runs.champions import Champion
from convlab.runs.run import Run


def pair(champion: Champion, run: Run, labels: NDArray[np.int64], right: NDArray[np.bool_]) -> Pairing:
    """`run`, which got `right` n of the test images with these `labels` n, beside the champion.

    The champion's own evaluation counts if it was made on these images; if the data changed since, the
    champion predicts them now.
    """
    champion_right = _evaluated(champion, run, labels)
    if champion_right is None:
        champion_right = _predicted(champion, run, labels)
    only_candidate, only_champion = right & ~champion_right, ~right & champion_right
    return Pairing(champion.run, len(labels), int(only_candidate.sum()), int(only_champion.sum()))


def _evaluated(champion: Champion, run: Run, labels: NDArray[np.int64]) -> NDArray[np.bool_] | None:
    """What the champion got right when it was evaluated; None if that was on other data."""
    kept = Run(champion.directory)
    if kept.predictions is None or kept.lineage["data_hash"] != run.lineage["data_hash"]:
        return None
    own_labels, probabilities = kept.predictions
    return probabilities.argmax(1) == labels if np.array_equal(own_labels, labels) else None


def _predicted(champion: Champion, run: Run, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """What the champion gets right of the test images as they are now; classes are matched by name."""
    data = run.data_module()
    if not np.array_equal(data.labels("test").numpy(), labels):
        raise ConvlabError(
            f"{run.data} has other test images than when {run.name} was evaluated. {run.remedy}"
        )
    predictor = complete_model.load(champion.directory)
    best = predictor(data.image("test", index) for index in range(len(labels))).argmax(1)
    names = np.array([predictor.classes[index] for index in best])
    right: NDArray[np.bool_] = names == np.array(data.classes)[labels]
    return right
