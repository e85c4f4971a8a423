"""Pictures: their style is read off the examples, and none loses a level on its way."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from flows.web.form import picture


def drawings(width, dark=False, side=28, size=20, most=255, count=60):
    """Lines of a known thickness in a box of a known size, on an empty ground."""
    numbers = np.random.default_rng(0)
    made = []
    for _ in range(count):
        paper = Image.new("L", (side * 10, side * 10))
        least = (side - size) * 5 + width * 5
        points = numbers.uniform(least, side * 10 - least, (3, 2))
        points[:2, 1] = least, side * 10 - least
        ImageDraw.Draw(paper).line([tuple(point) for point in points], fill=255, width=round(width * 10), joint="curve")
        levels = np.asarray(paper).reshape(side, 10, side, 10).mean((1, 3)) / 255
        made.append(np.round((1 - levels if dark else levels) * most).astype("uint8")[..., None])
    return made


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("most", [16, 255])
def test_the_style_of_drawings_is_found(dark, most):
    found = picture.style([28, 28, 1], drawings(2, dark, most=most))
    assert (found.most, found.drawn, found.dark) == (most, True, dark)
    assert found.extent == pytest.approx(20 / 28, abs=2 / 28)


@pytest.mark.parametrize("width", [1.5, 2, 3, 4])
def test_the_thickness_of_lines_is_found(width):
    assert picture.style([28, 28, 1], drawings(width)).pen == pytest.approx(width, rel=0.2)


def test_photos_are_not_taken_for_drawings():
    photos = list(np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), "uint8"))
    assert not picture.style([8, 8, 1], photos).drawn
    assert not picture.style([8, 8, 3], [np.zeros((8, 8, 3), "uint8")]).drawn
    assert not picture.style([8, 8, 1], []).drawn
    assert picture.style([8, 8, 1], [np.zeros((8, 8, 1), "uint8")]).most == 255


@given(st.sampled_from([1, 3, 4]), st.integers(1, 5), st.integers(1, 5), st.data())
def test_a_picture_comes_back_as_it_was(channels, height, width, data):
    size = height * width * channels
    values = data.draw(st.lists(st.integers(0, 255), min_size=size, max_size=size))
    made = np.array(values, "uint8").reshape(height, width, channels)
    for written in (picture.png(made), made.tolist(), picture.drawn(json.dumps(made.tolist()), made.shape)):
        np.testing.assert_array_equal(picture.pixels(written, made.shape), made)


@pytest.mark.parametrize(
    "value",
    [
        *["", "AAAA", "no base64", picture.png(np.zeros((2, 1, 1), "uint8"))],
        *[None, 5, {"a": 1}, [], [[1, 2], [3]], [[[256]]], [[[-1]]], [["a"]]],
    ],
)
def test_what_is_no_picture_of_this_size_is_none(value):
    assert picture.pixels(value, [1, 1, 1]) is None


def test_a_drawing_of_another_size_is_refused():
    with pytest.raises(ValueError, match="another size"):
        picture.drawn("[[[1]], [[2]]]", [1, 1, 1])
