"""Load a champion in a process of its own, as a user would, and predict the test rows: all at once, and one by one.

python -m tests.support.started.predict TRACKING_URI MODEL
"""

import sys
from pathlib import Path

import mlflow
import pandas as pd

if __name__ == "__main__":
    uri, model = sys.argv[1:]
    mlflow.set_tracking_uri(uri)
    served = mlflow.pyfunc.load_model(f"models:/{model}@champion")
    columns = [column.name for column in served.metadata.signature.inputs]
    folder = Path("data") / model
    raw = pd.read_parquet(folder / "test.parquet")[columns]
    served.predict(raw).to_parquet(folder / "served.parquet")
    single = [served.predict(raw.iloc[[row]]) for row in range(20)]
    pd.concat(single, ignore_index=True).to_parquet(folder / "served_one_by_one.parquet")
