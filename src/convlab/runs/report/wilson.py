"""The 95 % interval of a share."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Z = float(ndtri(0.975))


class Interval(NamedTuple):
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def interval(right: Any, total: Any) -> Interval:
    """Wilson's interval for `right` of `total`, of numbers or of arrays; 0 to 1 where the total is 0.

    Wilson, Journal of the American Statistical Association 22, 1927. `scipy.stats.binomtest` gives the same
    but takes a second to import.
    """
    found, n = np.asarray(right, dtype=np.float64), np.asarray(total, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = found / n
        middle = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
        half = Z / (1 + Z**2 / n) * np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    low, high = np.where(found == 0, 0.0, middle - half), np.where(found == n, 1.0, middle + half)
    return Interval(np.where(n == 0, 0.0, low), np.where(n == 0, 1.0, high))
