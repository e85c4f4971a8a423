"""Pictures: what the examples look like, so that a drawing can be made to look like them; and pictures as PNG.

Data of the kind of MNIST are ink on an empty ground, cut to the ink and centred by its mass. How large the ink is, how
thick its lines are, how many grey levels there are, and whether it is light or dark, is read off the examples of the
test split.
"""

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # of Pillow, by channels
MOST_PIXELS = 4096 * 4096
EMPTY = 0.3  # of the pixels of an example, at least, have the level of the ground where the data are drawings
SHOWN = 160  # pixels on the page, at least, of a small picture's side


@dataclass(frozen=True)
class Style:
    """How the pictures of a model look. shape: [height, width, channels]. most: the highest level, 255 in a photo.

    drawn: whether they are ink on an empty ground. dark: whether the ink is darker than the ground. extent: the longer
    side of the ink, by that of the picture. pen: the thickness of a line in pixels.
    """

    shape: tuple[int, int, int]
    most: int = 255
    drawn: bool = False
    dark: bool = False
    extent: float = 1.0
    pen: float = 1.0


def style(shape: Sequence[int], pictures: Sequence[np.ndarray]) -> Style:
    """What examples [height, width, channels] uint8 have in common."""
    height, width, channels = (int(side) for side in shape)
    plain = Style((height, width, channels))
    if not pictures:
        return plain
    whole = np.stack(pictures)
    most = int(whole.max()) or 255
    ground = _ground(whole)
    if channels > 1 or (whole == ground).mean() < EMPTY:
        return Style(plain.shape, most)
    ink = np.abs(whole[..., 0].astype("float64") - ground)
    return Style(plain.shape, most, True, bool(ground > most / 2), _extent(ink > 0), _pen(ink))


def _ground(whole: np.ndarray) -> int:
    """The level that most pixels at the border have."""
    border = np.concatenate([whole[:, 0], whole[:, -1], whole[:, :, 0], whole[:, :, -1]], axis=1)
    return int(np.bincount(border.ravel()).argmax())


def _extent(ink: np.ndarray) -> float:
    """The longer side of the box around the ink [pictures, height, width], by the same side of the picture: median."""
    high, wide = ink.any(2).sum(1) / ink.shape[1], ink.any(1).sum(1) / ink.shape[2]
    return float(np.median(np.maximum(high, wide))) or 1.0


def _pen(ink: np.ndarray) -> float:
    """The thickness of lines [pictures, height, width]: twice the ink by the length of its edges, median.

    Edges are measured along rows and columns, where those of a line in any direction are 4 / pi times as long.
    """
    padded = np.pad(ink, ((0, 0), (1, 1), (1, 1)))
    edges = sum(np.abs(np.diff(padded, axis=axis)).sum((1, 2)) for axis in (1, 2))
    drawn = ink.sum((1, 2))
    return float(np.median(8 / np.pi * drawn[drawn > 0] / edges[drawn > 0])) if drawn.any() else 1.0


def pixels(value: Any, shape: Sequence[int]) -> np.ndarray | None:
    """A picture of a raw row, base64 or nested lists, as uint8 of the shape; None if it is none, or of another size."""
    try:
        found = _decoded(value, shape[2]) if isinstance(value, str) else np.asarray(value, "int64")
        if not found.ndim or found.size != np.prod(shape) or found.min() < 0 or found.max() > 255:
            return None
        return found.astype("uint8").reshape([int(side) for side in shape])
    except (ValueError, TypeError, OverflowError, OSError, Image.DecompressionBombError, KeyError):
        return None


def _decoded(text: str, channels: int) -> np.ndarray:
    content = base64.b64decode(text, validate=True)
    with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as image:
        if image.width * image.height > MOST_PIXELS:
            raise ValueError("too many pixels")
        return np.asarray(image.convert(MODES[channels]))


def drawn(text: str, shape: Sequence[int]) -> str:
    """What the page's script made of a drawing, as base64 of a PNG. Raises ValueError if it is none of this shape."""
    found = pixels(json.loads(text), shape)
    if found is None:
        raise ValueError("The drawing has another size than the model's pictures.")
    return png(found)


def png(picture: np.ndarray) -> str:
    """A picture [height, width, channels] uint8 as base64 of a PNG, which loses nothing."""
    target = io.BytesIO()
    Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture).save(target, "PNG")
    return base64.b64encode(target.getvalue()).decode("ascii")


def to_look_at(picture: np.ndarray, most: int) -> str:
    """The same with the highest level as white, and large enough to be seen."""
    bright = np.clip(picture.astype("float64") * (255 / most), 0, 255).round().astype("uint8")
    times = max(1, round(SHOWN / max(picture.shape[:2])))
    return png(bright.repeat(times, 0).repeat(times, 1))


def encoded(content: bytes) -> str:
    """A file as it is."""
    return base64.b64encode(content).decode("ascii")
