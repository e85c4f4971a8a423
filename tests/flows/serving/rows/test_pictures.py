"""Pictures of a request are what the same file is to the stage that learns from it; others are refused in words."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flows.serving.problem import Problem
from flows.serving.rows.pictures import PictureRows
from pipelines.readers import images

SHAPES = ([5, 7, 1], [5, 7, 3], [5, 7, 4])
ORIENTATION = 274  # the tag of EXIF


def drawn(mode: str, size: tuple[int, int] = (7, 5)) -> Image.Image:
    """A picture of random values, (width, height) large."""
    random = np.random.default_rng(0)
    image = Image.fromarray(random.integers(0, 256, (size[1], size[0], 4), np.uint8), "RGBA")
    return image.convert(mode)


def file(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def lying() -> bytes:
    """A picture that its EXIF data turn by a quarter."""
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    return file(drawn("RGB", (5, 7)), "JPEG", exif=exif)


FILES = {f"{mode}.png": file(drawn(mode)) for mode in ("1", "L", "LA", "P", "RGB", "RGBA")}
FILES |= {f"{mode}.jpg": file(drawn(mode), "JPEG") for mode in ("L", "RGB", "CMYK")} | {"lying.jpg": lying()}


def read(value: object, shape: list[int]) -> np.ndarray:
    return PictureRows(shape).read([{"image": value}]).arrays["image"][0]


def refused(value: object, shape: list[int] = SHAPES[0]) -> str:
    with pytest.raises(Problem) as caught:
        PictureRows(shape).read([{"image": value}])
    assert (caught.value.status, caught.value.row, caught.value.column) == (400, 1, "image")
    return caught.value.detail


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", FILES)
def test_a_picture_has_the_values_that_ingest_reads_from_its_file(tmp_path, name, shape):
    (tmp_path / name).write_bytes(FILES[name])
    wanted = images.pixels(Path(tmp_path / name), shape, "none")
    text = base64.b64encode(FILES[name]).decode()
    assert read(text, shape).tobytes() == wanted
    assert read(f"data:image/png;base64,{text}", shape).tobytes() == wanted, "as a browser writes it"


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_lists_and_raw_values_are_taken_as_they_are(shape):
    values = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    ways = [values.tolist(), values.reshape(-1).tolist(), base64.b64encode(values.tobytes()).decode(), values.tobytes()]
    ways += [values[:, :, 0].tolist()] if shape[2] == 1 else []
    for way in [*ways, values.astype(float).tolist()]:
        np.testing.assert_array_equal(read(way, shape), values)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (base64.b64encode(file(drawn("L", (9, 4)))).decode(), "is 4 x 9 (height x width), and the model takes 5 x 7."),
        (base64.b64encode(file(drawn("L", (5, 7)))).decode(), "is 7 x 5 (height x width), and the model takes 5 x 7."),
        (base64.b64encode(file(drawn("L"))[:-40]).decode(), "is not a complete, readable PNG or JPEG."),
        (base64.b64encode(file(drawn("L"), "GIF")).decode(), "neither a PNG or JPEG nor the 35 values of 5 x 7"),
        (base64.b64encode(b"123").decode(), "has 3 bytes of base64"),
        ("no base64 at all!", "is no text in base64."),
        ([[0] * 7] * 4, "has 4 x 7 values, and the model takes 5 x 7 with 1 channel."),
        ([[0] * 7] * 4 + [[0]], "has lists that are not those of 5 x 7"),
        ([256] * 35, "has the value 256; all must be whole numbers from 0 to 255."),
        ([0.5] * 35, "has the value 0.5"),
        ([-1] * 35, "has the value -1"),
        ([float("nan")] * 35, "has the value nan"),
        (["1"] * 35, "has values that are no numbers."),
        ([None] * 35, "has values that are no numbers."),
        ([10**40] * 35, "has values that are no numbers."),
        (None, "is neither a text nor a list."),
        (3, "is neither a text nor a list."),
    ],
)
def test_another_picture_is_refused_in_words(value, told):
    assert told in refused(value)


def test_a_picture_of_another_size_is_not_decoded():
    start = file(drawn("L", (300, 200)))[:2000]  # to decode it would fail
    assert "is 200 x 300" in refused(base64.b64encode(start).decode())


def test_a_row_without_a_picture_is_told():
    with pytest.raises(Problem, match="Row 1 has no 'image'"):
        PictureRows(SHAPES[0]).read([{"picture": []}])
