"""Facts: what is read is what the records say, and is read anew when they change."""

import subprocess
import sys

from flows.overview import facts, registry
from flows.overview.facts import Known
from tests.flows.overview.conftest import NOW
from tests.support.world import ROOT


def test_the_champion_its_metric_and_its_versions(planted):
    planted.sound("pets")
    planted.line("pets", "rejected", 2, champion=1, metric="accuracy")
    planted.tag("pets", 2, metrics='{"accuracy": 0.81, "roc_auc": 0.9}')
    (found,) = facts.read(planted.project, NOW)
    assert (found.champion, found.metric, found.value, found.low, found.high) == (1, "accuracy", 0.96, 0.94, 0.97)
    assert [(point.version, point.value, point.low) for point in found.points] == [(1, 0.96, 0.94), (2, 0.81, None)]
    decision, verified, live = found.decision, found.verified, found.live
    assert decision is not None
    assert verified is not None
    assert live is not None
    assert (decision.action, decision.version, verified.verdict) == ("rejected", 2, "identical")
    assert (live.value, live.drifted, live.promised) == (0.95, (), 0.94)


def test_what_is_known_is_as_good_as_what_is_read_anew(planted):
    known = Known()
    planted.sound("pets")
    planted.sound("other")
    changes = [
        lambda: planted.line("pets", "accepted", 2, champion=1),
        lambda: planted.alias("pets", 1),
        lambda: planted.tick("other", "refused", "31 rows"),
        lambda: planted.watched("other", labels=None),
        lambda: planted.tag("other", 1, verified="different"),
        lambda: planted.declare("other", promote={"metric": "roc_auc"}),
    ]
    before = facts.read(planted.project, NOW, known)
    for change in changes:
        change()
        now = facts.read(planted.project, NOW, known)
        assert now == facts.read(planted.project, NOW)
        assert now != before
        before = now


def test_without_a_store_the_ledger_alone_is_told(planted):
    planted.sound("pets")
    planted.project.mlflow_database.unlink()
    (found,) = facts.read(planted.project, NOW)
    assert (found.registered, found.alias, found.champion, found.value) == (False, "", 1, 0.96)
    assert registry.read(planted.project) is None


def test_no_heavy_library_is_imported():
    heavy = "mlflow", "prefect", "dvc", "tensorflow", "pandas", "pyarrow"
    code = f"import flows.overview.__main__, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
