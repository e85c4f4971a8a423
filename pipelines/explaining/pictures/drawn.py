"""The sheets of a model of pictures: saliency, Grad-CAM, and what its first layers see."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.explaining import gradients
from pipelines.explaining.columns import Arrays
from pipelines.explaining.gradients import Integrated
from pipelines.explaining.parts import Parts
from pipelines.explaining.pictures import chosen, gradcam, layers, sheet
from pipelines.explaining.pictures.chosen import Chosen
from pipelines.explaining.pictures.sheet import Block, Legend, Tile
from pipelines.model.predictor import Predictor, to_arrays
from pipelines.table import row_groups

if TYPE_CHECKING:  # half a second to import, and needed only where rows are at hand
    import pandas as pd

SIGNED: Legend = ("signed", "speaks against the answer", "speaks for it")
HEAT: Legend = ("heat", "little", "much")
LIGHT: Legend = ("signed", "wants dark pixels", "wants bright pixels")
WORK = 100_000_000  # pixels, in all steps of all pictures: of large pictures fewer are drawn
SHOWN = 3  # pictures whose maps of convolutions are drawn
Told = dict[str, Any]  # file, title and about of a picture, and row_ids of the rows in it, for explanations.json


def draw(predictor: Predictor, test: Path, predictions: "pd.DataFrame", background: Arrays, out: Path) -> list[Told]:
    """Write saliency.png, grad-cam.png and layers.png, as far as the network has what they need; returns what they are.

    test: test.parquet of a model of pictures. predictions: of evaluate.py, those of all test rows. background: training
    rows, {"image": uint8 [rows, height, width, channels]}, whose mean picture is the baseline. out: a folder.
    """
    parts, about = Parts(predictor.model), predictor.about
    baseline = {"image": gradients.mean_picture(background["image"])}
    most = int(np.clip(WORK // (2 * gradients.STEPS * math.prod(about["shape"])), 1, chosen.MOST))
    kinds = {
        _headline(about): chosen.typical(predictions, about["classes"], most),
        _wrong(about): chosen.wrong(predictions, about["classes"], most),
    }
    kinds = {title: found for title, found in kinds.items() if len(found.rows)}
    read = {title: _read(test, found.rows, about) for title, found in kinds.items()}
    pictures = {title: arrays for title, (arrays, _) in read.items()}
    ids = {"row_ids": [row_id for _, some in read.values() for row_id in some]}  # `ratchet forget` looks for them
    told: list[Told] = []
    if kinds:
        told += (one | ids for one in _saliency(parts, baseline, kinds, pictures, out / "saliency.png"))
        told += (one | ids for one in _grad_cam(parts, kinds, pictures, out / "grad-cam.png"))
    return [*told, *_layers(parts, about, next(iter(pictures.values()), None), out / "layers.png")]


def _headline(about: dict[str, Any]) -> str:
    if about["classes"]:
        return "The most typical: the right answer with the highest probability to each class"
    return "The most typical: the smallest error, from the lowest target to the highest"


def _wrong(about: dict[str, Any]) -> str:
    if about["classes"]:
        return "The most wrong: the wrong answers with the highest probability"
    return "The most wrong: the largest errors"


def _read(test: Path, wanted: np.ndarray, about: dict[str, Any]) -> tuple[Arrays, list[str]]:
    """Some pictures of a split, in the given order, and their row ids."""
    import pandas as pd

    found: dict[int, dict[str, Any]] = {}
    start = 0
    for batch in row_groups.batches(test, ["row_id", "image"]):
        for place in wanted[(wanted >= start) & (wanted < start + batch.num_rows)].tolist():
            found[place] = {name: batch[name][place - start].as_py() for name in ("row_id", "image")}
        start += batch.num_rows
    chosen_rows = [found[place] for place in wanted.tolist()]
    frame = pd.DataFrame({"image": [row["image"] for row in chosen_rows]})
    return to_arrays(frame, about), [row["row_id"] for row in chosen_rows]


def _saliency(
    parts: Parts, baseline: Arrays, kinds: dict[str, Chosen], pictures: dict[str, Arrays], path: Path
) -> Iterator[Told]:
    found = {title: gradients.of_pictures(parts, pictures[title], baseline, of.outputs) for title, of in kinds.items()}
    maps = {title: [sheet.summed(one) for one in of.values.sum(axis=3)] for title, of in found.items()}
    signed = {title: [Tile(one, "signed") for one in of] for title, of in maps.items()}
    _save(kinds, pictures, signed, SIGNED, path)
    yield {
        "file": path.name,
        "title": "Saliency: which pixels speak for the answer, and which against it",
        "about": _of_integrated(list(found.values())),
    }


def _of_integrated(found: list[Integrated]) -> str:
    """What the maps are, and how far they are from adding up."""
    error = max(float(one.error.max()) for one in found)
    count = sum(len(one.answer) for one in found)
    return (
        f"Integrated gradients in {gradients.STEPS} steps, from the mean of the background pictures to each picture. "
        "The contributions of all pixels add up to the answer less that to the mean picture; in the "
        f"{count} pictures the largest error of the sum is {error:.1g}. Each picture has a colour scale of its own."
    )


def _grad_cam(parts: Parts, kinds: dict[str, Chosen], pictures: dict[str, Arrays], path: Path) -> Iterator[Told]:
    heat: dict[str, list[Tile]] = {}
    for title, of in kinds.items():
        images = pictures[title]["image"]
        if (maps := gradcam.maps(parts, pictures[title], of.outputs)) is None:
            return
        heat[title] = [Tile(one, "heat", over=image) for one, image in zip(maps, images, strict=True)]
    _save(kinds, pictures, heat, HEAT, path)
    down, across = next(iter(heat.values()))[0].values.shape
    yield {
        "file": path.name,
        "title": "Grad-CAM: where the last convolution found what speaks for the answer",
        "about": f"The convolution has {down} x {across} places, so its maps may be coarser than the pictures. "
        "What speaks against an answer is not shown. Each picture has a colour scale of its own.",
    }


def _save(
    kinds: dict[str, Chosen], pictures: dict[str, Arrays], maps: dict[str, list[Tile]], legend: Legend, path: Path
) -> None:
    """Each picture with its map below."""
    blocks = []
    for title, of in kinds.items():
        images = pictures[title]["image"]
        shown = [Tile(image, title=text) for image, text in zip(images, of.titles, strict=True)]
        blocks.append(Block(title, sheet.in_lines([shown, maps[title]], sheet.across(images.shape[1:]))))
    sheet.save(blocks, sheet.across(images.shape[1:]), path, legend)


def _layers(parts: Parts, about: dict[str, Any], pictures: Arrays | None, path: Path) -> Iterator[Told]:
    """The maps of the first convolutions of some pictures, or the weights of a dense layer on the pixels."""
    some = None if pictures is None else {"image": pictures["image"][:SHOWN]}
    if some and (maps := layers.maps(parts, some)):
        blocks = [Block("The pictures", [[Tile(image) for image in some["image"]]])]
        for one in maps:
            down, across = one.values.shape[2:]
            title = f"{one.layer}: the {one.values.shape[1]} most active of {one.of} filters, {down} x {across} places"
            blocks.append(Block(title, [[Tile(values, "heat") for values in row] for row in one.values]))
        sheet.save(blocks, layers.UNITS, path, HEAT)
        yield {
            "file": path.name,
            "title": "What the first layers see: the maps of the convolutions",
            "about": "A line for each of the pictures, and in each column the same filter. Each map has a colour scale "
            "of its own.",
        }
    elif (found := layers.weights(parts, about["shape"])) is not None:
        tiles = [Tile(sheet.summed(values), "signed") for values in found.values]
        title = f"{found.layer}: the {len(tiles)} of {found.of} units with the largest weights"
        sheet.save([Block(title, sheet.in_lines([tiles], layers.UNITS))], layers.UNITS, path, LIGHT)
        yield {
            "file": path.name,
            "title": "What the first layer looks for: the weights of its units",
            "about": "A weight for each pixel, the sum over its channels. A bright pixel raises the unit's value where "
            "the weight is positive, and lowers it where it is negative. Each unit has a colour scale of its own.",
        }
