"""What the image browser gets: packed numbers, shortened paths, and text that can't leave its element."""

import base64
import json

import numpy as np
import pytest
from markupsafe import Markup

from convlab.runs.report import links
from convlab.runs.report.browser import payload
from convlab.runs.report.comparison import Verdict

HOSTILE = "</script><script>alert('&')</script>\u2028<!--"


def test_foreign_text_stays_in_its_element():
    script = payload.as_json("data", {"classes": [HOSTILE]})
    assert script.count("<") == 2  # of the element's own two tags
    assert "\u2028" not in script
    text = script.removeprefix('<script type="application/json" id="data">').removesuffix("</script>")
    assert json.loads(text) == {"classes": [HOSTILE]}


def test_answers_are_the_likeliest_first_of_equal_ones_the_first():
    best, shares = payload.likeliest(np.array([[0.1, 0.2, 0.3, 0.4], [0.25, 0.25, 0.25, 0.25]], np.float32))
    assert best.tolist() == [[3, 2, 1], [0, 1, 2]]
    assert shares[0] == pytest.approx([0.4, 0.3, 0.2])
    packed = payload.answers("a", 0, best, shares)
    assert np.frombuffer(base64.b64decode(packed["best"]), "<u2").tolist() == [3, 2, 1, 0, 1, 2]
    unpacked = np.frombuffer(base64.b64decode(packed["probabilities"]), "<f4")
    assert unpacked.tolist() == shares.reshape(-1).tolist()


@pytest.mark.parametrize(
    ("paths", "before"),
    [
        (["x/a.jpg", "x/b.jpg"], "x/"),
        (["same"], "same"),
        (["a, image 1", "a, image 12"], "a, image 1"),
        (["", "b"], ""),
    ],
)
def test_paths_are_shortened_by_what_they_share(paths, before):
    found = payload.images(["c"], None, paths, None)["paths"]
    assert found["before"] == before
    assert [found["before"] + rest for rest in found["rest"]] == paths


def test_sizes_of_equal_thumbnails_are_said_once():
    equal, mixed = payload.sheets([{"sizes": [(28, 28)] * 9}, {"sizes": [(2, 3), (0, 0)]}])["sheets"]
    assert equal["sizes"] == [9, 28, 28]
    assert mixed["sizes"] == [2, 3, 0, 0]


def test_each_number_of_a_verdict_leads_to_its_images():
    tested = Verdict("a&b", "c", "", 37, 19, 0.02, True)
    shown = links.verdict(tested)
    assert isinstance(shown, Markup)
    for text in (
        'disagree on <a href="#images?model=a%26b&amp;other=c&amp;there=opposite">56</a> test images',
        'is right on <a href="#images?model=a%26b&amp;answer=right&amp;other=c&amp;there=wrong">37</a>, c on',
        '<a href="#images?model=a%26b&amp;answer=wrong&amp;other=c&amp;there=right">19</a> (McNemar',
    ):
        assert text in shown
    untested = Verdict("a", "<c>", "a and <c> can't be tested")
    assert links.verdict(untested) == "a and &lt;c&gt; can&#39;t be tested"
