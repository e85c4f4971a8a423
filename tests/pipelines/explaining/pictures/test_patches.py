"""Patches: a picture cut into a few columns and joined again is the same picture, and swapping works on it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.explaining.columns import swapped
from pipelines.explaining.pictures import patches

sides = st.integers(1, 40)


@given(st.tuples(sides, sides, st.sampled_from([1, 3, 4])), st.integers(1, 49))
def test_cut_pictures_are_joined_to_the_same_pictures(shape, most):
    images = np.random.default_rng(0).integers(0, 256, (3, *shape), np.uint8)
    grid = patches.grid(shape, most)
    cut = grid.cut({"image": images})
    assert 1 <= len(grid.columns) <= most
    assert cut["patches"].shape[2] == len(grid.columns)
    np.testing.assert_array_equal(grid.joined(cut)["image"], images)


@given(st.tuples(sides, sides, st.just(1)), st.integers(1, 49))
def test_every_pixel_is_in_exactly_one_patch(shape, most):
    seen = np.zeros(shape[:2], int)
    for top, bottom, left, right in patches.grid(shape, most).boxes:
        seen[top:bottom, left:right] += 1
    assert (seen == 1).all()


@pytest.mark.parametrize(
    ("shape", "found"),
    [((8, 8, 1), (7, 7)), ((28, 28, 1), (7, 7)), ((200, 300, 3), (6, 8)), ((1, 90, 1), (1, 49)), ((3, 3, 1), (3, 3))],
)
def test_patches_are_nearly_square(shape, found):
    grid = patches.grid(shape)
    assert (len(grid.tops) - 1, len(grid.lefts) - 1) == found


def test_a_swapped_patch_changes_its_pixels_alone():
    grid = patches.grid([28, 28, 1], 49)
    one, other = (grid.cut({"image": np.full((2, 28, 28, 1), level, np.uint8)}) for level in (10, 200))
    found = grid.joined(swapped(one, grid.columns[8], other))["image"]
    top, bottom, left, right = grid.boxes[8]
    assert grid.columns[8].name == "y 4-7, x 4-7"
    assert (found[:, top:bottom, left:right] == 200).all()
    assert (found == 200).sum() == 2 * 16


def test_values_of_patches_are_a_small_picture():
    grid = patches.grid([200, 300, 3])
    found = grid.map(np.arange(48.0)[None])
    assert found.shape == (1, 6, 8)
    assert found[0, 1, 0] == 8


def test_no_patches_are_refused():
    with pytest.raises(ValueError, match="cannot be cut into 0 patches"):
        patches.grid([8, 8, 1], 0)
