"""What a run measured, on the terminal."""

from typing import Any

from convlab.base.console import console


def say(name: str, metrics: dict[str, Any]) -> None:
    """A line for the weights that predict, and one for the raw ones of a run that averaged."""
    for label, part in (("test", metrics["test"]), ("raw weights", metrics.get("test_raw"))):
        if part:
            say_one(f"{name}, {label}", part)


def say_one(what: str, part: dict[str, Any]) -> None:
    """Accuracy with its interval, and loss, of one set of images."""
    console.print(
        f"{what}: {part['acc']:.2%} of {part['num_images']:,} images "
        f"(95 % interval {part['acc_low']:.2%} to {part['acc_high']:.2%}), loss {part['loss']:.4f}",
        markup=False,
    )
