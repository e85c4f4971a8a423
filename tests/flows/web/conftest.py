"""What the tests of pages ask: an answering server and the pages before it, as they run."""

import json

import pytest

from tests.support.served import digits, pages, running, versions

EVIL = '<script>alert("x")</script>'  # a word of the pets' colour, and a part of a problem


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
    versions.point(state, "pets", 2, folder, files_hash=versions.seal(folder))
    (state / "serving" / "empty").mkdir()
    versions.retire(state, "empty", f"It was withdrawn by {EVIL}.")
    with running.server(state) as found:
        yield found


@pytest.fixture(scope="package")
def address(server):
    with pages.opened(server.url) as found:
        yield found
