"""How fast a registered model answers: python benchmarks/inference.py [MODEL] [FOLDER]

In a clone of this repository in a temporary folder MODEL (default: digits) is made and registered. Then the rows of its
test split are predicted in batches of 1,000 and one by one: by the registered model as users load it, by the same model
behind `mlflow models serve` on this machine, and by the bare Keras model on arrays that are ready. FOLDER: what is to
lie in data/incoming/MODEL. Keep the machine idle meanwhile.
"""

import base64
import http.client
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
ROWS, BATCH, SINGLES = 20_000, 1_000, 1_000
WARM = 20  # calls that are not counted


def clone(folder: Path, model: str, incoming: Path | None) -> None:
    subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
    if incoming is not None:
        shutil.copytree(incoming, folder / "data" / "incoming" / model)
    subprocess.run([sys.executable, "-m", "flows.cli", "run", model], cwd=folder, check=True, stdout=sys.stderr)


def rows(model: str) -> pd.DataFrame:
    """Raw feature rows of the test split, again and again."""
    from pipelines.config import settings
    from pipelines.config.data import Data

    features = settings.load(model, "data", Data).features
    table = pd.read_parquet(Path("data") / model / "test.parquet", columns=features)
    return pd.concat([table] * (ROWS // len(table) + 1), ignore_index=True).iloc[:ROWS]


def timed(predict: Callable[[Any], Any], batches: list[Any], singles: list[Any]) -> tuple[float, float, float]:
    """Rows per second in batches; median and 99th percentile of one row, in milliseconds."""
    for piece in [*batches[:2], *singles[:WARM]]:
        predict(piece)
    start = time.perf_counter()
    for piece in batches:
        predict(piece)
    per_second = ROWS / (time.perf_counter() - start)
    taken = []
    for piece in singles:
        start = time.perf_counter()
        predict(piece)
        taken.append(1000 * (time.perf_counter() - start))
    return per_second, *np.percentile(taken, [50, 99])


def pieces(table: pd.DataFrame) -> tuple[list[pd.DataFrame], list[pd.DataFrame]]:
    batches = [table.iloc[start : start + BATCH] for start in range(0, ROWS, BATCH)]
    return batches, [table.iloc[at : at + 1] for at in range(SINGLES)]


def registered(model: str, table: pd.DataFrame) -> tuple[float, float, float]:
    import mlflow

    loaded = mlflow.pyfunc.load_model(f"models:/{model}@champion")
    return timed(loaded.predict, *pieces(table))


def bare(model: str, table: pd.DataFrame) -> tuple[float, float, float]:
    from pipelines.model.predictor import Predictor, to_arrays

    predictor = Predictor(Path("data") / model / "model")
    batches, singles = ([to_arrays(piece, predictor.about) for piece in cut] for cut in pieces(table))
    return timed(lambda arrays: np.asarray(predictor.model(arrays, training=False)), batches, singles)


def served(model: str, table: pd.DataFrame) -> tuple[float, float, float]:
    port = _free_port()
    command = [str(BIN / "mlflow"), "models", "serve", "--model-uri", f"models:/{model}@champion"]
    options = ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        line = _connected(port)

        def ask(body: bytes) -> bytes:
            line.request("POST", "/invocations", body, {"Content-Type": "application/json"})
            answer = line.getresponse()
            content = answer.read()
            assert answer.status == 200, content
            return content

        return timed(ask, *([_body(piece) for piece in cut] for cut in pieces(table)))
    finally:
        server.terminate()
        server.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _connected(port: int) -> http.client.HTTPConnection:
    end = time.monotonic() + 60
    while True:
        line = http.client.HTTPConnection("127.0.0.1", port)
        try:
            line.request("GET", "/ping")
            line.getresponse().read()
            return line
        except OSError:
            assert time.monotonic() < end, "mlflow models serve does not answer"
            time.sleep(0.2)


def _body(table: pd.DataFrame) -> bytes:
    def plain(value: Any) -> Any:
        return base64.b64encode(value).decode() if isinstance(value, bytes) else value

    values = [[plain(value) for value in row] for row in table.astype(object).where(table.notna(), None).to_numpy()]
    return json.dumps({"dataframe_split": {"columns": list(table.columns), "data": values}}).encode()


def measure(model: str) -> None:
    table = rows(model)
    print("| what | rows/s in batches of 1,000 | one row, median ms | p99 ms |\n| --- | ---: | ---: | ---: |")
    ways = {"the registered model": registered, "`mlflow models serve`": served, "bare Keras, arrays ready": bare}
    for name, way in ways.items():
        per_second, median, last = way(model, table)
        print(f"| {name} | {per_second:,.0f} | {median:.2f} | {last:.2f} |", flush=True)


def main(arguments: list[str]) -> None:
    model = arguments[0] if arguments else "digits"
    incoming = Path(arguments[1]).resolve() if len(arguments) > 1 else None
    print(f"{date.today()}, {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "clone"
        clone(folder, model, incoming)
        environment = os.environ | {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",  # where `mlflow models serve` looks for its server
            "PYTHONPATH": str(folder),
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow/mlflow.db",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        command = [sys.executable, str(Path(__file__).resolve()), "--measure", model]
        sys.stdout.flush()
        subprocess.run(command, cwd=folder, env=environment, check=True)


if __name__ == "__main__":
    measure(sys.argv[2]) if sys.argv[1:2] == ["--measure"] else main(sys.argv[1:])
