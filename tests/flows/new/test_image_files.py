"""What `ratchet new` finds out about pictures."""

import itertools

import numpy as np
import pytest
from PIL import Image

from flows.new import image_files
from pipelines.readers import images


def picture(path, orientation: int | None, width: int = 16, height: int = 8) -> None:
    path.parent.mkdir(exist_ok=True, parents=True)
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    pixels = np.random.default_rng(1).integers(0, 255, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path, exif=exif)


@pytest.mark.parametrize(("orientation", "suffix"), list(itertools.product([None, *range(1, 9)], ["jpg", "png"])))
def test_pictures_are_measured_as_ingest_sees_them(tmp_path, orientation, suffix):
    path = tmp_path / "cat" / f"one.{suffix}"
    picture(path, orientation)
    found = image_files.found(tmp_path)
    assert (found.shape[:2], found.resize) == ([16, 8] if (orientation or 1) > 4 else [8, 16], "")
    assert len(images.pixels(path, found.shape, "none")) == 16 * 8 * 3


def test_pictures_of_which_some_are_turned_need_no_other_size(tmp_path):
    for number, orientation in enumerate((6, 1, 8, None)):
        turned = orientation in (6, 8)
        picture(tmp_path / "cat" / f"{number}.jpg", orientation, *((8, 16) if turned else (16, 8)))
    found = image_files.found(tmp_path)
    assert (found.shape, found.resize) == ([8, 16, 3], "")
