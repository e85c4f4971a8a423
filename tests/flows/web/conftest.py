"""What the tests of pages ask: an answering server and the pages before it, as they run."""

import base64
import json

import pytest

from tests.support.served import digits, pages, running, versions

EVIL = '<script>alert("x")</script>'  # a word of the pets' colour, and a part of a problem
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==")
BACKGROUND = {
    "weight": [1.0, 5.0, 20.0, 30.0, None],
    "age": [1.0, 2.0, 3.0, 4.0, 5.0],
    "colour": ["black", "brown", "white", None, "black"],
    "born": ["2020-01-31T12:00:00+00:00"] * 4 + [None],
}
ABOUT = {
    "classes": ["cat", "dog"],
    "importance": [
        {"columns": ["weight"], "mean": 0.31, "low": 0.25, "high": 0.37},
        {"columns": ["colour"], "mean": 0.0, "low": -0.01, "high": 0.01},
    ],
    "groups": [{"columns": ["weight", "age"], "mean": 0.33, "low": 0.28, "high": 0.4}],
    "dependence": [
        {
            "column": "weight",
            "kind": "number",
            "of": "dog",
            "points": [{"value": 1.0, "mean": 0.1}, {"value": 30.0, "mean": 0.9}],
        },
        {
            "column": "colour",
            "kind": "word",
            "of": "dog",
            "points": [{"value": EVIL, "mean": 0.4}, {"value": "", "mean": 0.3}],
        },
    ],
    "rules": {"text": "weight <= 9.1: cat", "fidelity": 0.97, "majority": 0.6, "refused": ""},
    "pictures": [
        {"file": "importance.png", "title": "Importance of columns", "about": ""},
        {"file": "seen.png", "title": f"What was seen {EVIL}", "about": "A picture."},
    ],
}


@pytest.fixture(scope="package")
def server(tmp_path_factory):
    """Models of all kinds; one has no version, and the pets have a second one."""
    state = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(versions.MODELS, "digits", digits.model())
        for model in versions.MODELS:
            versions.promote(state, model)
    folder = versions.promote(state, "pets", 2)
    about = json.loads((folder / "columns.json").read_text())
    about["columns"][2]["words"].append(EVIL)
    (folder / "columns.json").write_text(json.dumps(about))
    (folder / "explanations").mkdir()
    (folder / "explanations" / "seen.png").write_bytes(PNG)
    (folder / "explanations" / "unnamed.png").write_bytes(PNG)
    versions.explained(folder, BACKGROUND, **ABOUT)
    versions.point(state, "pets", 2, folder)
    (state / "serving" / "empty").mkdir()
    versions.retire(state, "empty", f"It was withdrawn by {EVIL}.")
    with running.server(state) as found:
        yield found


@pytest.fixture(scope="package")
def address(server):
    with pages.opened(server.url) as found:
        yield found
