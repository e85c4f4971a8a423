"""benchmarks/gate judges as the gate does: its short way, through counts of rows, gives the verdicts of `compare`."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flows.promotion.comparison import Candidate, compare
from flows.promotion.rivals.opponents import Rival
from flows.promotion.statistics.budget import Budget
from flows.promotion.statistics.dependence import INDEPENDENT
from flows.records.outputs import StageOutputs
from flows.tracking.evidence_files import Kept
from pipelines import model_file
from pipelines.config.data import Data
from pipelines.sections.promote import Promote

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from gate.chains import Gate, Model
from gate.models import candidate

ANIMAL = Data(kind="table", task="classification", target="y", label="integer", columns={"age": "number"})


class Version:
    version = "1"


@pytest.fixture
def made(tmp_path) -> StageOutputs:
    for name in ("train", "validation"):
        pd.DataFrame({"row_id": [name]}).to_parquet(tmp_path / f"{name}.parquet")
    return StageOutputs(tmp_path, {}, {"test": {"hash": "t"}}, "d", "m", "i")


def table(model: Model) -> pd.DataFrame:
    ids = [f"t{number}" for number in range(*model.window)]
    return pd.DataFrame({"row_id": ids, "actual": 1, "prediction": model.right[slice(*model.window)] * 1})


@pytest.mark.parametrize("role", ["champion", "reference"])
def test_the_short_way_gives_the_verdicts_of_the_gate(made, role):
    verdicts = set()
    for seed in range(120):
        random = np.random.default_rng(seed)
        rows, margin, size = random.integers(20, 400), random.choice([0.02, 0.05]), random.choice([-0.05, 0.0, 0.06])
        first, end = random.integers(0, rows // 3), rows - random.integers(0, rows // 3)
        rival = Model(random.random(rows) < 0.85, 0.85, (0, int(end)))
        mine = Model(candidate(rival.right, 0.85, float(size), random), 0.85, (int(first), int(rows)))
        uses = int(random.integers(0, 4))
        used = Budget(judged=uses + 2, since_promotion=uses, since_reference=uses, promotions=0)
        step = 0.01 if role == "reference" else None

        rules = Promote(metric="accuracy", at_least=0, margin=float(margin))
        declared = model_file.Declaration("pets", {}, {"data": ANIMAL, "promote": rules})
        splits = pd.Series("test", index=[f"t{number}" for number in range(*rival.window)])
        theirs = table(Model(rival.right, 0.85, mine.window))
        opponent = Rival(role, Version, Path(), Kept(splits, theirs), theirs)  # type: ignore[arg-type]
        found = compare(Candidate(declared, made, table(mine), used, INDEPENDENT), opponent, step)
        expected = all(look.passed for look in found.looks)

        accepted, better, _ = Gate(float(margin), rival, rival).against(mine, rival, used, step)
        assert accepted == expected, seed
        assert better == found.better or not accepted, seed
        verdicts.add((accepted, better))
    assert verdicts >= {(True, True), (True, False), (False, False)}
