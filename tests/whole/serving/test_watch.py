"""What happens to a served model is a reason to retrain, said everywhere, once there is something to learn."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import mlflow
import pytest
from mlflow.tracking import MlflowClient

from flows.records import ledger
from flows.serving.answer import Answer
from flows.serving.engine.loaded import Answered
from flows.serving.log.writer import Log
from flows.serving.rows.batch import Batch
from tests.support.clone import answer, edit, git
from tests.support.served import answered
from tests.whole.test_schedule import MODEL, Shop, outcome

LABELS = 60
WANTED = "60 labels are new, of 40 that are wanted, which are not learned (`labels: learn`)"


def serve(shop, names):
    """The first rows, answered yesterday by version 1, each right."""
    rows = shop.rows[: len(names)]
    target = rows.columns[-1]
    said = [Answer(str(word), {str(word): 1.0}) for word in rows[target]]
    raw = rows.drop(columns=[target]).to_dict("records")
    kept = Log(shop.root / ".ratchet" / "answers", 0, answered.KEY)
    found = Answered(replace(answered.version(1), model=MODEL), said, Batch({}, len(raw), [()] * len(raw), raw))
    assert kept.write(found, names, datetime.now(UTC) - timedelta(days=1))
    kept.close()
    return [str(word) for word in rows[target]]


@pytest.mark.long
def test_labels_are_a_reason_that_is_answered_when_there_is_something_to_learn(tmp_path):
    shop = Shop(tmp_path / "clone")
    edit(shop.root / "models" / f"{MODEL}.yaml", "champion_days: 30", "new_rows: 1000, on: {labels: 40}")
    git(shop.root, "commit", "-qam", "reasons from live rows")
    shop.arrive("a.csv", shop.rows[:250])
    try:
        answer(shop.root, "up", "--no-serve")
        shop.until(outcome("accepted"))

        names = [f"row {number}" for number in range(LABELS)]
        words = serve(shop, names)
        (tmp_path / "labels.csv").write_text("\n".join(["id,label", *map(",".join, zip(names, words, strict=True))]))
        answer(shop.root, "label", MODEL, str(tmp_path / "labels.csv"))
        skipped = shop.until(lambda tick: "not retrained" in tick.reason, len(shop.ticks()))
        assert skipped.reason.startswith("not retrained: nothing new to learn since")
        assert f"; {WANTED}" in skipped.reason

        after = len(shop.ticks())
        shop.arrive("b.csv", shop.rows[250:280])
        began = shop.until(outcome("began"), after)
        assert began.reason.startswith(f"{WANTED}; 30 new rows since")
        done = shop.until(lambda tick: tick.flow_run == began.flow_run and tick.outcome != "began", after)
        assert done.outcome in ("accepted", "undecided", "rejected", "unchanged")

        (judged,) = [line for line in ledger.of(shop.project).lines(MODEL) if line.facts.get("because") == began.reason]
        tags = _tags(shop, judged.version)
        assert tags["ratchet.because"] == began.reason
        tasks = shop.prefect("task_runs/filter", flow_runs={"id": {"any_": [began.flow_run]}})
        states = {task["name"].partition("-")[0]: task["state"]["message"] for task in tasks}
        assert states["due"] == began.reason
        assert "watch" in states

        (watched,) = answer(shop.root, "watch", MODEL)["models"]
        assert (watched["labels"]["labelled"], watched["problems"]) == (LABELS, [])
        assert json.dumps(watched)
    finally:
        answer(shop.root, "down")


def _tags(shop, version):
    mlflow.set_tracking_uri(f"sqlite:///{shop.project.mlflow_database}")
    client = MlflowClient()
    return client.get_run(client.get_model_version(MODEL, str(version)).run_id).data.tags
