"""Pictures: {"image": a PNG or JPEG in base64, or the values as lists of numbers}.

Pillow decodes a picture as it decodes the files that the model learned from (pipelines/readers/images.py).
"""

import base64
import binascii
import io
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from flows.serving.problem import Problem
from flows.serving.rows import declared
from flows.serving.rows.batch import Batch
from pipelines import visible_text
from pipelines.readers import picture

NAME = "image"
FORMATS = ("PNG", "JPEG")  # in Pillow's words
STARTS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")  # of the files of these
ADDRESS = "data:image/"  # what browsers put before the base64 of a picture
MOST_VALUE = 255
Kept = Callable[[Mapping[str, Any]], dict[str, Any]]
REPAIR = "Send a PNG or JPEG in base64, or the values as lists of numbers."


class Misfit(ValueError):
    """What is wrong with a picture: "is no text in base64"."""


class PictureRows:
    """Pictures of one shape -> arrays."""

    def __init__(self, shape: Sequence[int], kept: Kept = lambda row: {}):
        """shape: [height, width, channels]. kept: what is kept of a row beside the picture."""
        self._shape, self._kept = list(shape), kept

    def read(self, rows: Sequence[Any], before: int = 0) -> Batch:
        """rows: JSON objects. before: how many rows of the request come before these. Raises Problem."""
        found, raw = [], []
        for place, row in enumerate(rows, before):
            if not isinstance(row, dict):
                raise declared.no_object(place, row)
            if NAME not in row:
                raise _absent(place)
            try:
                found.append(values(row[NAME], self._shape))
            except Misfit as error:
                raise _misfit(place, row[NAME], error) from error
            raw.append({NAME: row[NAME]} | self._kept(row))
        image = np.frombuffer(b"".join(found), np.uint8).reshape(-1, *self._shape)
        return Batch({NAME: image}, len(raw), [()] * len(raw), raw)


def values(value: Any, shape: list[int]) -> bytes:
    """A picture as a request has it -> its values, row by row, a byte for each channel. Raises Misfit."""
    if isinstance(value, str):
        content = _decoded(value)
        return _of_file(content, shape) if content.startswith(STARTS) else _of_bytes(content, shape)
    if isinstance(value, list):
        return _of_list(value, shape)
    if isinstance(value, bytes):  # in a program: as raw.parquet has it
        return _of_bytes(value, shape)
    raise Misfit("is neither a text nor a list")


def _decoded(text: str) -> bytes:
    content = text.partition(",")[2] if text.startswith(ADDRESS) else text
    try:
        return base64.b64decode("".join(content.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Misfit("is no text in base64") from error


def _of_bytes(content: bytes, shape: list[int]) -> bytes:
    if len(content) != math.prod(shape):
        told = f"{len(content)} bytes of base64, which is neither a PNG or JPEG nor the {math.prod(shape)} values of"
        raise Misfit(f"has {told} {_size(shape)}")
    return content


def _of_list(found: list[Any], shape: list[int]) -> bytes:
    try:
        array = np.array(found)
    except (ValueError, OverflowError) as error:  # lists of different lengths, or too deep
        raise Misfit(f"has lists that are not those of {_size(shape)}") from error
    flat = (math.prod(shape),)
    grey = tuple(shape[:2]) if shape[2] == 1 else flat
    if array.shape not in (tuple(shape), grey, flat):
        has = " x ".join(map(str, array.shape))
        raise Misfit(f"has {has} values, and the model takes {_size(shape)}")
    if array.dtype.kind not in "iuf":
        raise Misfit("has values that are no numbers")
    fits = (array >= 0) & (array <= MOST_VALUE) & (array == np.floor(array))
    if not fits.all():
        raise Misfit(f"has the value {array[~fits][0]}; all must be whole numbers from 0 to {MOST_VALUE}")
    return array.astype(np.uint8).tobytes()


def _of_file(content: bytes, shape: list[int]) -> bytes:
    from PIL import Image, ImageOps

    height, width, channels = shape
    if channels not in picture.MODES:
        raise Misfit(f"is a PNG or JPEG, which has no {channels} channels")
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(content), formats=FORMATS) as image:
            warnings.simplefilter("ignore")  # of odd metadata
            if image.size not in ((width, height), (height, width)):  # before anything is decoded
                raise _other_size(image.height, image.width, shape)
            image.load()
            turned = ImageOps.exif_transpose(image)
    except Misfit:
        raise
    except Exception as error:  # a damaged file can make decoders raise anything
        raise Misfit("is not a complete, readable PNG or JPEG") from error
    if turned.size != (width, height):
        raise _other_size(turned.height, turned.width, shape)
    if turned.mode not in picture.EIGHT_BITS:
        raise Misfit(f"has more than 8 bits in a channel ({turned.mode})")
    return picture.values(turned, shape)


def _other_size(height: int, width: int, shape: list[int]) -> Misfit:
    return Misfit(f"is {height} x {width} (height x width), and the model takes {shape[0]} x {shape[1]}")


def _size(shape: list[int]) -> str:
    return f"{shape[0]} x {shape[1]} with {shape[2]} {'channel' if shape[2] == 1 else 'channels'}"


def _absent(place: int) -> Problem:
    told = f"Row {place + 1} has no {NAME!r}."
    return Problem(400, "missing-column", "A row lacks a column", told, REPAIR, row=place + 1, column=NAME)


def _misfit(place: int, value: Any, error: Misfit) -> Problem:
    told = visible_text.line(f"Row {place + 1}: the picture {error}.")
    shown = declared.brief(value)
    return Problem(400, "value", "A value does not fit its column", told, REPAIR, place + 1, NAME, shown)
