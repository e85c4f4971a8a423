"""The tag by which a version in MLflow lists its exports, as JSON that a person can read."""

import json
from typing import Any

from flows.export.compared import Compared
from flows.registry.model_registry import ModelVersion
from flows.tracking.mlflow_runs import MlflowClient

TAG = "ratchet.exports"


def add(
    store: MlflowClient, version: ModelVersion, name: str, int8: bool, found: dict[str, Any], checked: Compared
) -> None:
    """Note an export; an earlier one of the same format and precision gives way."""
    try:
        known = dict(json.loads(version.tags.get(TAG, "{}")))
    except ValueError:  # written by somebody else
        known = {}
    content = checked.content()
    known[f"{name} int8" if int8 else name] = {
        "bytes": found["model_bytes"],
        "largest_difference": content["largest_difference"],
        "labels_changed": content["labels_changed"],
        "sha256": found["sha256"],
    }
    store.set_model_version_tag(version.name, str(version.version), TAG, json.dumps(dict(sorted(known.items()))))
