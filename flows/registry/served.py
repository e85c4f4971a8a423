"""The registered model: the script that MLflow runs to load it (models-from-code).

It imports nothing of the project. What predicts is the model folder that lies among its artifacts: that folder
is checked against its manifest, then its own predictor.py is loaded. What is wrong with the rows of a request is an
error of MLflow's: its server answers with that sentence and status 400, and with a traceback to any other error.
"""

import hashlib
import json
import os
import sys
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
        about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        _settle(about.get("hardware", {}).get("precision", "float32"))
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


def _settle(precision: str) -> None:
    """Before a model in half precision is loaded: oneDNN stays off, or may use all instructions of the processor.

    Else the process would crash on some processors. Raises RuntimeError where it is too late for that: a model in
    float32 that was loaded before allows oneDNN the instructions alone that it was trained with.
    """
    if precision == "float32":
        return
    if "tensorflow" not in sys.modules:
        os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
    elif os.environ.get("TF_ENABLE_ONEDNN_OPTS") != "0" and os.environ.get("ONEDNN_MAX_CPU_ISA", "ALL") != "ALL":
        import tensorflow as tf

        if not tf.config.list_physical_devices("GPU"):
            raise RuntimeError(
                f"This model computes in {precision}, and oneDNN may use {os.environ['ONEDNN_MAX_CPU_ISA']} at most in "
                "this process, which would crash. Load it in a process of its own, or start this one with "
                "TF_ENABLE_ONEDNN_OPTS=0."
            )


set_model(Served())
