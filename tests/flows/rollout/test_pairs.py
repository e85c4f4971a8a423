"""Pairs of two versions from real logs and labels, of every kind of label."""

from datetime import timedelta

import pyarrow as pa
import pytest

from flows.labels import store
from flows.rollout import pairs
from flows.serving.answer import Answer
from flows.serving.log.writer import Log
from pipelines import model_file
from pipelines.config import yaml_text
from tests.support import golden
from tests.support.served import answered
from tests.support.served.answered import KEY, NOON

LATER = NOON + timedelta(days=1)
IDS = [f"row {number}" for number in range(6)]
KINDS = {
    "text": ("yes", "no", "label: text"),
    "integer": (1, 0, "label: integer"),
}


def declared(kind: str):
    text = golden.DECLARED.replace("target: bought,", f"target: bought, {KINDS[kind][2]},")
    return model_file.of("shop", yaml_text.plain(text))


def said(folder, number: int, value, names=IDS) -> None:
    """A version answers the same to every row."""
    log = Log(folder, 0, KEY)
    answer = Answer(value, {str(one): 0.75 if one == value else 0.25 for one in KINDS[_kind(value)][:2]})
    assert answered.write(log, [{"age": 30.0}] * len(names), answered.version(number), names=names, answer=answer)
    log.close()


def _kind(value) -> str:
    return "text" if isinstance(value, str) else "integer"


@pytest.mark.parametrize("kind", KINDS)
def test_a_pair_has_both_answers_and_the_label_that_is_known(tmp_path, kind):
    yes, no, _ = KINDS[kind]
    said(tmp_path / "answers", 1, yes)
    said(tmp_path / "shadow", 2, no, IDS[:5])
    table = pa.table({"id": IDS[:3], "label": [yes, no, yes]})
    store.add(tmp_path, declared(kind), table, taken=NOON + timedelta(hours=1))
    found = pairs.read(tmp_path, declared(kind), 1, 2, NOON - timedelta(days=1), LATER)
    assert found is not None
    assert found.rows == 5
    assert found.known.tolist() == [True] * 3 + [False] * 2
    assert found.one.predicted.tolist() == [no] * 5
    assert found.other.predicted.tolist() == [yes] * 5
    assert found.one.actual[found.known].tolist() == [yes, no, yes]
    assert found.one.classes == sorted([yes, no])
