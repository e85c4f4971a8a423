"""The registered model: the script that MLflow runs to load it (models-from-code).

It imports nothing of the project. What predicts is the model folder that lies among its artifacts: that folder
is checked against its manifest, then its own predictor.py is loaded. What is wrong with the rows of a request is an
error of MLflow's: its server answers with that sentence and status 400, and with a traceback to any other error.
"""

import hashlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext


class Served(PythonModel):
    def load_context(self, context: PythonModelContext) -> None:
        folder = Path(context.artifacts["model"])
        code, source = folder / "predictor.py", (folder / "predictor.py").read_bytes()
        wanted = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["files"]["predictor.py"]
        if hashlib.sha256(source).hexdigest() != wanted:  # before any of it is run
            raise ValueError(f"{code} is not what the manifest says")
        # not imported from the file: Python would run byte code that lies beside it, which nobody has looked at
        module = ModuleType(f"ratchet_predictor_{wanted[:12]}")
        module.__file__ = str(code)
        exec(compile(source, code, "exec", dont_inherit=True), module.__dict__)  # noqa: S102
        self._predictor = module.Predictor(folder)

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        """Raw rows -> prediction and, for a classification, the probability of each class.

        Raises MlflowException for a column that is absent or a value that does not fit.
        """
        try:
            return self._predictor.predict(model_input)
        except ValueError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error


set_model(Served())
