"""Score a model folder on the present test split, in a process of its own: python -m flows.rescore FOLDER MODEL

Prints the metrics of the model's `evaluate:` section as JSON. The gate uses it for a champion whose metrics belong to
other test rows.
"""

import json
import subprocess
import sys
from pathlib import Path

from pipelines import device, evaluate, settings
from pipelines.device import Hardware
from pipelines.errors import RatchetError
from pipelines.evaluate import Evaluate
from pipelines.predictor import Predictor
from pipelines.settings import Data


def rescore(folder: Path, model: str) -> dict[str, float]:
    """Run this module and read its answer. Raises RatchetError if the model cannot be scored."""
    command = [sys.executable, "-m", "flows.rescore", str(folder), model]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise RatchetError(f"The champion of {model} cannot be scored on the present test rows: {reason[0]}.")
    return dict(json.loads(done.stdout))


def main(folder: Path, model: str) -> None:
    data, config = settings.load(model, "data", Data), settings.load(model, "evaluate", Evaluate)
    about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    device.prepare(Hardware(**about["hardware"]), seed=0)
    predictions = evaluate.predict(Predictor(folder), Path("data") / model / "test.parquet", data)
    print(json.dumps(evaluate.score(predictions, data, config.metrics)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
