"""The parts of a model around its network, as steps of features.json, which reader.py computes in NumPy.

They are read from architecture.json: the operations by which pipelines/model/features.py has made them, with their
constants. The network itself is one of the steps.
"""

import json
from pathlib import Path
from typing import Any

from flows.export.format import NotCarried
from flows.export.reader import NETWORK, OPERATIONS

OPTIONS = {  # those of a kind that change what it computes
    "Cast": ("dtype",),
    "Clip": ("x_min", "x_max"),
    "Concatenate": ("axis",),
    "Cumsum": ("axis",),
    "ExpandDims": ("axis",),
    "Max": ("axis", "keepdims"),
    "RepeatVector": ("n",),
    "Rescaling": ("scale", "offset"),
    "Sum": ("axis", "keepdims"),
    "Take": ("axis",),
}
Layer = dict[str, Any]
Step = dict[str, Any]


def architecture(model: Path) -> dict[str, Any]:
    """What architecture.json of a model folder holds."""
    return dict(json.loads((model / "architecture.json").read_text(encoding="utf-8"))["config"])


def unit(found: dict[str, Any]) -> float:
    """By how much the answer of a model moves if that of its network moves by 1: by 1 for a classification.

    found: its architecture.
    """
    scales = [layer["config"]["scale"] for layer in found["layers"] if layer["name"] == "target_units"]
    return float(abs(scales[0])) if scales else 1.0


def steps(found: dict[str, Any]) -> list[Step]:
    """The steps from arrays of a row to the answer, which is the last one: name, kind, inputs and options of each.

    found: the architecture of a model. Raises NotCarried, naming the layer, for one that reader.py lacks.
    """
    needed, kept = {found["output_layers"][0]}, []
    for layer in reversed(_ordered(found["layers"])):
        if layer["name"] in needed and layer["class_name"] != "InputLayer":
            needed |= _taken(layer["inbound_nodes"])
            kept.append(_step(layer))
    return kept[::-1]


def _ordered(found: list[Layer]) -> list[Layer]:
    """So that each comes after those that it takes from."""
    waiting, ordered = list(found), []
    done: set[str] = set()
    while waiting:
        ready = [layer for layer in waiting if _taken(layer["inbound_nodes"]) <= done]
        ordered += ready
        done |= {layer["name"] for layer in ready}
        waiting = [layer for layer in waiting if layer["name"] not in done]
    return ordered


def _taken(part: Any) -> set[str]:
    """The names of the layers that some part of architecture.json takes from."""
    if isinstance(part, list):
        return set().union(*map(_taken, part))
    if not isinstance(part, dict):
        return set()
    if part.get("class_name") == "__keras_tensor__":
        return {part["config"]["keras_history"][0]}
    return set().union(*map(_taken, part.values()))


def _step(layer: Layer) -> Step:
    kind, name, config = layer["class_name"], layer["name"], layer["config"]
    if name == NETWORK:
        kind = NETWORK
    elif kind not in OPERATIONS:
        raise NotCarried(f"reader.py has nothing for the layer {name}, which is of the kind {kind}")
    (node,) = layer["inbound_nodes"]
    inputs, options = list(node["args"]), {key: config[key] for key in OPTIONS.get(kind, ())}
    if kind == "GetItem":
        options["index"] = [_index(one) for one in inputs.pop()]
    if kind == "StringLookup":
        options = _words(name, config)
    return {"name": name, "kind": kind, "inputs": [_input(one, name) for one in inputs], "options": options}


def _words(name: str, config: dict[str, Any]) -> dict[str, Any]:
    mode = config["output_mode"]
    if config["num_oov_indices"] != 1 or config["mask_token"] is not None or mode not in ("one_hot", "int"):
        raise NotCarried(f"the layer {name} looks words up in a way that reader.py does not have")
    return {"words": config["vocabulary"], "one_hot": mode == "one_hot"}


def _input(one: Any, name: str) -> Any:
    """A name, a list of names, or a constant."""
    if isinstance(one, list):
        return [_input(part, name) for part in one]
    if isinstance(one, dict) and one["class_name"] == "__keras_tensor__":
        return str(one["config"]["keras_history"][0])
    if isinstance(one, dict) and one["class_name"] == "__numpy__":
        return {"constant": one["config"]["value"], "dtype": one["config"]["dtype"]}
    if isinstance(one, bool | int | float):
        return {"constant": one, "dtype": ""}
    raise NotCarried(f"reader.py has nothing for what the layer {name} takes")


def _index(one: Any) -> Any:
    """A number, [start, stop, step], or "..."."""
    if not isinstance(one, dict):
        return one
    return "..." if one["class_name"] == "__ellipsis__" else [one["config"][key] for key in ("start", "stop", "step")]
