"""Moves the champion in a clone, when it is told to: python benchmarks/serving/moves.py MODEL ROWS

ROWS: a file with rows in MLflow's form, one JSON object on each line. First it prints what each registered version
answers to them, as MLflow loads it: a JSON object, version -> a list of objects. Then it reads lines: a version to
promote, or "back". Once the ledger, the alias and the files of the server have followed, it prints the champion.
"""

import base64
import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from flows.deployment import deploy
from flows.load import load_model
from flows.project import environment
from flows.promotion import champion_alias
from flows.tracking import mlflow_runs


def answers(model: str, version: int, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    table = pd.DataFrame(rows)
    if "image" in table:
        table["image"] = table["image"].map(base64.b64decode)
    found = load_model(model, version).predict(table)
    return list(json.loads(found.to_json(orient="records", double_precision=15)))


def main(model: str, rows: Path) -> None:
    project = environment.prepare()
    content = [json.loads(line) for line in rows.read_text().splitlines()]
    registered = mlflow_runs.client(project).search_model_versions(f"name = '{model}'")
    versions = sorted(int(one.version) for one in registered)
    print(json.dumps({version: answers(model, version, content) for version in versions}), flush=True)
    for line in sys.stdin:
        if line.strip() == "back":
            champion_alias.rollback(project, model, "benchmarks/serving.py", hold=False)
        else:
            champion_alias.promote(project, model, int(line), "benchmarks/serving.py")
        print(deploy.now(project, model)["version"], flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
