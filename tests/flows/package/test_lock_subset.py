"""A part of the lock: whole entries, all that is needed, and nothing of the rest."""

import re

import pytest

from flows.package import lock_subset
from pipelines.errors import RequestError
from tests.support.world import ROOT

LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")


def test_entries_are_whole_and_keep_their_markers():
    found = lock_subset.text(LOCK, {"numpy", "orjson"})
    heads = re.findall(r"^\S+==.*$", found, re.MULTILINE)
    assert [head.partition("==")[0] for head in heads] == ["numpy", "numpy", "orjson"]  # one for each Python
    assert "python_full_version >= '3.12'" in found
    assert all(found[found.index(head) :].splitlines()[1].startswith("    --hash=sha256:") for head in heads)
    assert set(found.splitlines()) <= set(LOCK.splitlines())
    assert found.count("--hash=") == len(re.findall(r"^    --hash=", found, re.MULTILINE))


def test_all_entries_together_are_the_lock():
    names = {re.match(r"[\w.-]+", line)[0] for line in LOCK.splitlines() if "==" in line}
    assert lock_subset.text(LOCK, names) == LOCK


def test_a_name_that_is_not_pinned_is_refused():
    with pytest.raises(RequestError, match=r"requirements\.lock does not pin beer, .* `make lock`"):
        lock_subset.text(LOCK, {"numpy", "beer"})


def test_the_closure_has_what_is_needed_for_other_pythons_and_with_extras():
    found = lock_subset.closure({"fastapi", "onnxruntime"})
    assert {"fastapi", "starlette", "pydantic", "pydantic-core", "onnxruntime", "numpy", "protobuf"} <= found
    assert "psycopg-binary" not in lock_subset.closure({"sqlalchemy"})
    assert "typing-extensions" in lock_subset.closure({"sqlalchemy"})


def test_a_library_has_the_name_that_the_lock_knows():
    assert lock_subset.distributions({"PIL", "prometheus_client"}) == {"pillow", "prometheus-client"}
    with pytest.raises(RequestError, match="nowhere is not installed"):
        lock_subset.distributions({"nowhere"})
