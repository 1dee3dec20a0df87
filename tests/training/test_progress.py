"""What a training shows on a real terminal."""

import re
import sys

import pexpect
import pytest

from convlab.training.progress import shown

WORDS = ["experiment=digits_fully_connected", "trainer.max_epochs=3", "logger=none", "name=seen"]


def test_one_line_moves_and_the_best_epoch_is_named(project):
    words = ["-m", "convlab", "train", *WORDS]
    process = pexpect.spawn(sys.executable, words, dimensions=(30, 100), encoding="utf-8", timeout=120)
    process.expect(pexpect.EOF)
    assert process.wait() == 0
    seen = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", process.before)
    drawn = re.findall(r"epoch (\d) of 3 .*?loss (\d\.\d{4})", seen)
    assert {epoch for epoch, _ in drawn} >= {"1", "3"}
    assert re.search(r"val/acc \d+\.\d\d %  best \d+\.\d\d % \(epoch [123]\)", seen)
    rows = [line.split(",") for line in (project / "runs/seen/history.csv").read_text().splitlines()]
    values = [float(row[rows[0].index("val/acc")]) for row in rows[1:]]
    best = max(values)
    assert f"epoch {values.index(best) + 1} of 3 is the model: {100 * best:.2f} %, highest val/acc" in seen
    assert "v_num" not in seen
    moving = [line for line in re.split(r"[\r\n]", seen) if line.startswith("epoch")]
    assert max(map(len, moving)) <= 100


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [("val/acc", 0.98765, "98.77 %"), ("train/acc", 0.5, "50.00 %"), ("val/loss", 0.98765, "0.9877")],
)
def test_shares_are_per_cent(metric, value, text):
    assert shown(metric, value) == text
