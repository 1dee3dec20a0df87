"""The gate: from measured numbers to the conditions that a model meets or fails. No files, no networks."""

from dataclasses import dataclass, fields
from typing import Any

from scipy.special import bdtr

from convlab.base.errors import ConvlabError
from convlab.runs.report.comparison import p_text


@dataclass(frozen=True)
class Gate:
    """Bounds of `conf/gate.yaml` for one data set; shares from 0 to 1."""

    min_accuracy: float
    alpha: float
    max_calibration_error: float
    max_latency_ms: float

    @classmethod
    def of(cls, settings: dict[str, Any], data: str) -> "Gate":
        """The bounds for `data`; raises ConvlabError for one that is unknown, missing or no number."""
        own = settings.get("data") or {}
        given = {key: value for key, value in settings.items() if key != "data"} | (own.get(data) or {})
        known = [field.name for field in fields(cls)]
        if wrong := sorted(set(given) ^ set(known)):
            raise ConvlabError(
                f"conf/gate.yaml, {data}: {', '.join(wrong)} unknown or missing. Bounds: {', '.join(known)}."
            )
        for name, value in given.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ConvlabError(f"conf/gate.yaml, {data}: {name} must be a number, not {value!r}.")
        return cls(**given)


@dataclass(frozen=True)
class Pairing:
    """A candidate beside the champion, on the same `num_images` test images."""

    champion: str
    num_images: int
    only_candidate_right: int
    only_champion_right: int

    @property
    def p_value(self) -> float:
        """How often an equally good model would do as badly as the candidate, or worse, by chance.

        McNemar's exact test, one-sided: of the images that just one of the two gets right, the candidate's
        are binomial(n, 1/2) if both are equally good. Half the two-sided p-value of `report.comparison`
        where the candidate is the worse one.
        """
        discordant = self.only_candidate_right + self.only_champion_right
        return float(bdtr(self.only_candidate_right, discordant, 0.5))

    @property
    def gain(self) -> float:
        """Accuracy of the candidate less the champion's."""
        return (self.only_candidate_right - self.only_champion_right) / self.num_images


@dataclass(frozen=True)
class Calibration:
    """A calibration error, and what chance alone gives on these images (`calibration.error_by_chance`)."""

    error: float
    by_chance: float


@dataclass(frozen=True)
class Condition:
    """One condition: what was found, what is needed, and, where it failed, by how much."""

    name: str
    found: str
    needed: str
    passed: bool
    shortfall: str


def judge(
    gate: Gate, accuracy: float, calibration: Calibration, latency_ms: float, pairing: Pairing | None
) -> list[Condition]:
    """Each condition of `gate` in turn; without a champion before, there is none to compare with."""
    conditions = [
        _accuracy(accuracy, gate.min_accuracy),
        _calibration(calibration, gate.max_calibration_error),
        _latency(latency_ms, gate.max_latency_ms),
    ]
    return conditions if pairing is None else [*conditions, _compared(pairing, gate.alpha)]


def _accuracy(accuracy: float, bound: float) -> Condition:
    return Condition(
        "accuracy",
        f"{accuracy:.2%}",
        f"at least {bound:.2%}",
        accuracy >= bound,  # not a number fails, here and below
        f"accuracy {accuracy:.2%} is {100 * (bound - accuracy):.2f} points below the {bound:.2%} required",
    )


def _calibration(calibration: Calibration, bound: float) -> Condition:
    beyond = calibration.error - calibration.by_chance
    return Condition(
        "calibration error",
        f"{calibration.error:.2%}, {calibration.by_chance:.2%} of it chance",
        f"at most {bound:.2%} beyond chance",
        beyond <= bound,
        f"calibration error {calibration.error:.2%}, of which chance explains {calibration.by_chance:.2%}, "
        f"is {100 * (beyond - bound):.2f} points above the {bound:.2%} required",
    )


def _latency(latency_ms: float, bound: float) -> Condition:
    return Condition(
        "latency",
        f"{latency_ms:.1f} ms",
        f"at most {bound:g} ms",
        latency_ms <= bound,
        f"latency {latency_ms:.1f} ms is {latency_ms - bound:.1f} ms above the {bound:g} ms required",
    )


def _compared(pairing: Pairing, alpha: float) -> Condition:
    sides = f"{pairing.only_candidate_right:,} images only the candidate gets right, "
    sides += f"{pairing.only_champion_right:,} only the champion"
    p_value = p_text(pairing.p_value)
    return Condition(
        f"not worse than {pairing.champion}",
        f"{100 * pairing.gain:+.2f} points, {p_value} ({sides})",
        f"p at least {alpha:g}",
        pairing.p_value >= alpha,
        f"accuracy is {-100 * pairing.gain:.2f} points below the champion {pairing.champion}'s, "
        f"significantly at alpha = {alpha:g} ({p_value}: {sides})",
    )
