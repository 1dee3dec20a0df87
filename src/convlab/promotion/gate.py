"""The gate: from measured numbers to the conditions that a model meets or fails. No files, no networks."""

from dataclasses import dataclass, fields
from typing import Any

from convlab.base.errors import ConvlabError
from convlab.promotion.evidence import Answers, Calibration, Pairing
from convlab.runs.report.comparison import p_text

WORST = 5  # classes that a refusal names


@dataclass(frozen=True)
class Gate:
    """Bounds of `conf/gate.yaml` for one data set; shares from 0 to 1."""

    min_images: float
    min_accuracy: float
    min_gain: float
    min_class_accuracy: float
    alpha: float
    max_calibration_error: float
    max_latency_ms: float

    @classmethod
    def of(cls, settings: dict[str, Any], data: str, defaults: dict[str, Any] | None = None) -> "Gate":
        """The bounds for `data`; raises ConvlabError for one that is unknown, missing or no number.

        defaults: convlab's own settings, for bounds that a project's do not state.
        """
        known = [field.name for field in fields(cls)]
        own = settings.get("data") or {}
        given = {key: value for key, value in (defaults or {}).items() if key in known}
        given |= {key: value for key, value in settings.items() if key != "data"} | (own.get(data) or {})
        if wrong := sorted(set(given) ^ set(known)):
            raise ConvlabError(
                f"conf/gate.yaml, {data}: {', '.join(wrong)} unknown or missing. Bounds: {', '.join(known)}."
            )
        for name, value in given.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ConvlabError(f"conf/gate.yaml, {data}: {name} must be a number, not {value!r}.")
        return cls(**given)


@dataclass(frozen=True)
class Condition:
    """One condition: what was found, what is needed, and, where it failed, by how much."""

    name: str
    found: str
    needed: str
    passed: bool
    shortfall: str


def judge(
    gate: Gate, answers: Answers, calibration: Calibration, latency_ms: float, pairing: Pairing | None
) -> list[Condition]:
    """Each condition of `gate` in turn; without a champion before, there is none to compare with."""
    conditions = [
        _images(answers, gate.min_images),
        _accuracy(answers, gate.min_accuracy),
        _better_than_guessing(answers, gate.min_gain),
        _classes(answers, gate.min_class_accuracy),
        _calibration(calibration, gate.max_calibration_error),
        _latency(latency_ms, gate.max_latency_ms),
    ]
    return conditions if pairing is None else [*conditions, _compared(pairing, gate.alpha)]


def _images(answers: Answers, bound: float) -> Condition:
    number, folds = answers.num_images, answers.cross_validated
    return Condition(
        "images" if folds else "test images",
        f"{number:,} in {folds.folds} folds" if folds else f"{number:,}",
        f"at least {bound:,g}",
        number >= bound,
        f"{number:,} {'' if folds else 'test '}images are too few to judge by, {bound:,g} are required",
    )


def _accuracy(answers: Answers, bound: float) -> Condition:
    low, high = answers.interval
    return Condition(
        "accuracy",
        f"{answers.accuracy:.2%}, 95 % interval {low:.2%} to {high:.2%}",
        f"low end at least {bound:.2%}",
        low >= bound,
        f"accuracy {answers.accuracy:.2%} of {answers.num_images:,} images may be as low as {low:.2%}, "
        f"{100 * (bound - low):.2f} points below the {bound:.2%} required",
    )


def _better_than_guessing(answers: Answers, bound: float) -> Condition:
    low, _ = answers.interval
    name, share = answers.most_frequent
    above = f"more than {100 * bound:g} points above" if bound else "above"
    return Condition(
        "better than guessing",
        f"{low:.2%} at the low end",
        f"{above} {share:.2%}, the share of {name}",
        low - share > bound,
        f"always saying {name} would be right for {share:.2%}, and its accuracy may be as low as {low:.2%}",
    )


def _classes(answers: Answers, bound: float) -> Condition:
    by_class = answers.by_class
    failing = [f"{name} {right:.2%} of {images:,}" for right, images, name in by_class if right < bound]
    right, images, name = by_class[0]
    more = f" and {len(failing) - WORST:,} more" if len(failing) > WORST else ""
    return Condition(
        "every class",
        f"the worst is {name}, {right:.2%} of {images:,}",
        f"at least {bound:.2%} of each",
        not failing,
        f"below the {bound:.2%} required of each class: {', '.join(failing[:WORST])}{more}",
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
