"""Make the variants that a model asks for, each in a folder of its own."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipelines import visible_text
from pipelines.compressing import quantize, variants
from pipelines.compressing.not_compressed import NotCompressed
from pipelines.compressing.settings import DISTILLED, PRUNED, Compress
from pipelines.compressing.trained import Workshop, recorded
from pipelines.compressing.variants import OnnxPredictor, Parent
from pipelines.config import settings
from pipelines.config.data import Data
from pipelines.fitting.settings import Train
from pipelines.hardware import device
from pipelines.model.predictor import model_hash
from pipelines.training import tensorflow_errors


def made(model: str, metrics: list[str], config: Compress, out: Path) -> dict[str, Any]:
    """Make the wanted variants of a model below `out`; returns the entries of compressed.json by name.

    metrics: the names of those that each is measured by.
    """
    folder = Path("data") / model
    about = json.loads((folder / "model" / "model.json").read_text(encoding="utf-8"))
    parent = Parent(folder, settings.load(model, "data", Data), about, model_hash(folder / "model"), metrics)
    return _each(parent, config, recorded(settings.load(model, "train", Train), about), out)


def _each(parent: Parent, config: Compress, train: Train, out: Path) -> dict[str, Any]:
    """The entries of compressed.json by name. train: of `recorded`."""
    found: dict[str, Any] = {name: _made(parent, name, out, "serving", _quantized) for name in config.quantize}
    if config.prune is None and config.distill is None:
        return found
    label = f"the smaller networks of {parent.folder.name}"
    with device.turn(train, label), tensorflow_errors.told():
        device.prepare(train, train.seed)
        shop = Workshop(parent, train)
        if (share := config.prune) is not None:
            found[PRUNED] = _made(parent, PRUNED, out, "model", lambda _, place: shop.pruned(share, place))
        if (wanted := config.distill) is not None:
            how = (wanted.sizes, wanted.temperature, wanted.weight)
            found[DISTILLED] = _made(parent, DISTILLED, out, "model", lambda _, place: shop.distilled(*how, place))
    return found


def _made(
    parent: Parent, name: str, out: Path, kind: str, make: Callable[[Parent, Path], dict[str, Any]]
) -> dict[str, Any]:
    """Make one variant in a folder below `out`; returns its entry, which for one that cannot be made says why."""
    place = out / name
    place.mkdir()
    try:
        found = make(parent, place)
        variants.as_variant(place, name, parent)
        found = variants.described(place, kind, parent, found)
    except NotCompressed as reason:
        shutil.rmtree(place)
        found = variants.refused(kind, str(reason))
    visible_text.note(f"{name}: {_told(found)}")
    return found


def _quantized(parent: Parent, place: Path) -> dict[str, Any]:
    """The parent's ONNX file with weights in fewer bits. Raises NotCompressed."""
    content = quantize.quantized(parent.content(), place.name)
    found = variants.measured(place, OnnxPredictor(content, parent.about), parent)
    variants.write_serving(place, content, parent, found)
    return found


def _told(found: dict[str, Any]) -> str:
    if found["why"]:
        return f"not made, because {found['why']}"
    share = found["parent_bytes"] / found["bytes"]
    changed = found["changed_labels"]
    labels = "" if changed is None else f", {changed:,} label{'' if changed == 1 else 's'} of the test rows changed"
    return f"{found['bytes']:,} bytes of {found['parent_bytes']:,} ({share:.1f} times smaller){labels}"
