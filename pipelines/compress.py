"""Compress: smaller variants of the model, each with its answers to the test rows. The gate does not wait for it.

    python -m pipelines compress digits

    data/<model>/model/, serving/, predictions.parquet, train.parquet, validation.parquet, test.parquet
        ->  data/<model>/compressed/: compressed.json, and a folder for each variant

Each variant is a candidate beside its parent: whether it may answer in its place is not decided here
(flows/compression/). One that cannot be made of this model is no error: compressed.json says why.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from pipelines import visible_text
from pipelines.compressing import quantize, variants
from pipelines.compressing.not_compressed import NotCompressed
from pipelines.compressing.trained import Workshop, recorded
from pipelines.compressing.variants import OnnxPredictor, Parent
from pipelines.config import settings
from pipelines.config.data import Data
from pipelines.config.section import Section
from pipelines.config.settings import FORMAT
from pipelines.config.stage import Stage
from pipelines.errors import IntegrityError
from pipelines.fitting.settings import Train
from pipelines.hardware import device
from pipelines.model.predictor import check_manifest, file_hash, model_hash
from pipelines.training import tensorflow_errors

FOLDER, NAME = "compressed", "compressed.json"
PRUNED, DISTILLED = "pruned", "distilled"
SIZES = ("hidden", "filters", "recurrent")  # keys of `train:` with the sizes of layers
REPAIR = "Restore it with `dvc checkout --force`, or make it anew with `dvc repro --force`."


class Distill(Section):
    """A smaller network, with the sizes that are named here in the place of those of `train:`, which learns from the
    model's answers and from the labels. Beside it the same network is trained from the labels alone."""

    hidden: list[Annotated[int, Field(ge=1)]] | None = None
    """Units of each dense layer."""
    filters: list[Annotated[int, Field(ge=1)]] | None = None
    """Filters of each convolution. Only for `cnn`."""
    recurrent: list[Annotated[int, Field(ge=1)]] | None = None
    """Units of each recurrent layer. Only for `rnn`."""
    temperature: float = Field(2.0, ge=1)
    """The probabilities of both are made so much softer before they are compared. Not for a regression."""
    weight: float = Field(0.5, gt=0, le=1)
    """The share of the model's answers in what is learned. The labels have the rest."""

    @property
    def sizes(self) -> dict[str, list[int]]:
        """The keys of `train:` that are named."""
        return {key: getattr(self, key) for key in SIZES if getattr(self, key) is not None}

    @model_validator(mode="after")
    def _names_a_size(self) -> "Distill":
        if not self.sizes:
            raise ValueError("name a size of the smaller network, such as `hidden: [16]`")
        return self


class Compress(Section):
    """Smaller variants of the model, which may answer in its place if the gate accepts them
    (docs/guides/small-models.md). The section may be absent: then there are none."""

    quantize: list[Literal["int8", "float16"]] = []
    """Store the weights in fewer bits: `int8`, `float16`, or `[int8, float16]` for both."""
    prune: float | None = Field(None, gt=0, lt=1)
    """Cut this share of the units out of every layer, the weakest first, and train what is left once more."""
    distill: Distill | None = None
    """Train a smaller network by the answers of the model."""
    smaller: float = Field(1.5, ge=1)
    """How many times smaller a variant has to be than the model in what a server loads, or else `faster`."""
    faster: float | None = Field(None, gt=1)
    """How many times faster a variant may be on one row instead."""

    @field_validator("quantize", mode="before")
    @classmethod
    def _kinds(cls, found: Any) -> Any:
        """One kind may stand alone."""
        words = [found] if isinstance(found, str) else found
        for word in words if isinstance(words, list) else [words]:
            if word not in quantize.KINDS:
                raise ValueError(f"weights cannot be stored as {word!r}: write int8, float16 or [int8, float16]")
        if len(set(words)) < len(words):
            raise ValueError("a kind stands there twice")
        return words

    @property
    def wanted(self) -> list[str]:
        """The names of the variants."""
        trained = [name for name, one in ((PRUNED, self.prune), (DISTILLED, self.distill)) if one]
        return [*self.quantize, *trained]

    def problem(self, train: Train) -> tuple[str, str] | None:
        """What does not fit the model's training: a key of `compress`, and why."""
        if self.distill is None:
            return None
        chosen = train.architecture
        for key in self.distill.sizes:
            if key != "hidden" and key != chosen.layers:
                return f"distill.{key}", f"`{key}` does not belong to network {chosen.name}"
        for key, sizes in self.distill.sizes.items():
            now = getattr(train, key)
            if len(sizes) > len(now) or any(one > other for one, other in zip(sizes, now, strict=False)):
                return f"distill.{key}", f"{sizes} is larger than train.{key}, which is {now}"
        if all(sizes == getattr(train, key) for key, sizes in self.distill.sizes.items()):
            return "distill", "it names the sizes of train:, and a smaller network has smaller ones"
        return None


STAGE = Stage("compress", Compress, after="export", preload="networks", numeric=True, after_gate=True)


def run(model: str) -> None:
    raw, folder = settings.read(model), Path("data") / model
    config = settings.parse(model, "compress", raw.get("compress", {}), Compress)
    try:
        check_manifest(folder / "model")
    except (ValueError, OSError) as error:
        raise IntegrityError(f"{error}.", REPAIR) from error
    partial = folder / f".{FOLDER}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    found = {}
    if config.wanted:
        parent = _parent(model, folder, raw)
        found = made(parent, config, recorded(settings.load(model, "train", Train), parent.about), partial)
    content = {
        "format": FORMAT,
        "model_hash": model_hash(folder / "model"),
        "serving_hash": file_hash(folder / "serving" / variants.SERVING),
        "variants": found,
    }
    (partial / NAME).write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    partial.rename(folder / FOLDER)


def _parent(model: str, folder: Path, raw: dict[str, Any]) -> Parent:
    about = json.loads((folder / "model" / "model.json").read_text(encoding="utf-8"))
    data = settings.load(model, "data", Data)
    return Parent(folder, data, about, model_hash(folder / "model"), list(raw["evaluate"]["metrics"]))


def made(parent: Parent, config: Compress, train: Train, out: Path) -> dict[str, Any]:
    """Make the wanted variants below `out`; returns the entries of compressed.json by name. train: of `recorded`."""
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
    labels = "" if found["changed_labels"] is None else f", {found['changed_labels']:,} labels of the test rows changed"
    return f"{found['bytes']:,} bytes of {found['parent_bytes']:,} ({share:.1f} times smaller){labels}"
