"""NumPy archives of images and labels become rows, and what is not such an archive is told."""

import zipfile
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import DataError
from pipelines.readers import sources
from pipelines.readers.formats import npz

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 3, 2)).astype(np.uint8)
LABELS = np.arange(7)


def read(path):
    return [row for batch in sources.read(path, ",", "utf-8") for row in batch.to_pylist()]


def saved(path, compress=False, **members):
    (np.savez_compressed if compress else np.savez)(path, **members)
    return path


@pytest.mark.parametrize("compress", [False, True])
def test_keras_layout_comes_back_with_its_splits(tmp_path, compress):
    members = {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES[:2], "y_test": LABELS[:2]}
    rows = [{"image": image.tobytes(), "label": label} for label, image in enumerate(IMAGES)]
    assert read(saved(tmp_path / "x.npz", compress, **members)) == [
        *(row | {"split": "train"} for row in rows),
        *(row | {"split": "test"} for row in rows[:2]),
    ]


@pytest.mark.parametrize("names", [("x", "y"), ("images", "labels")])
@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (LABELS.astype(np.uint8)[:, None], list(range(7))),
        (LABELS.astype(">i2"), list(range(7))),
        (np.array(list("abcdefg")), list("abcdefg")),
        (np.array(["é😀", *"abcdef"]), ["é😀", *"abcdef"]),
    ],
)
def test_labels_are_whole_numbers_or_text(tmp_path, names, labels, expected):
    found = read(saved(tmp_path / "x.npz", **dict(zip(names, (IMAGES, labels), strict=True))))
    assert [row["label"] for row in found] == expected
    assert set(found[0]) == {"image", "label"}


def test_rows_come_a_few_at_a_time(tmp_path, monkeypatch):
    colours = np.random.default_rng(0).integers(0, 256, (7, 2, 2, 3)).astype(np.uint8)
    path = saved(tmp_path / "x.npz", True, x=colours, y=LABELS)
    whole = read(path)
    monkeypatch.setattr(npz, "BATCH_BYTES", 3 * 12 + 1)
    assert [batch.num_rows for batch in npz.read(path)] == [3, 3, 1]
    assert read(path) == whole
    assert [row["image"] for row in whole] == [image.tobytes() for image in colours]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({}, "holds nothing, which are not pairs"),
        ({"x": IMAGES}, "holds x, which are not pairs"),
        ({"x": IMAGES, "y": LABELS, "z": LABELS}, "holds x, y, z, which are not pairs"),
        ({"x": IMAGES / 255, "y": LABELS}, r"x is float64 of the shape \[7, 3, 2\]; images must be bytes"),
        ({"x": IMAGES.reshape(7, 6), "y": LABELS}, r"x is uint8 of the shape \[7, 6\]; images must be \[rows, height"),
        ({"x": IMAGES[:, :0], "y": LABELS}, r"of the shape \[7, 0, 2\]; images must be"),
        ({"x": IMAGES, "y": np.eye(7)}, r"y is float64 of the shape \[7, 7\]; labels must be whole numbers"),
        ({"x": IMAGES, "y": np.eye(7, dtype=int)}, r"y is int64 of the shape \[7, 7\], but x has 7 images"),
        ({"x": IMAGES, "y": LABELS[1:]}, r"y is int64 of the shape \[6\], but x has 7 images"),
        ({"x": np.asfortranarray(IMAGES), "y": LABELS}, "x is stored by columns"),
    ],
)
def test_what_is_no_set_of_images_is_told(tmp_path, members, message):
    with pytest.raises(DataError, match=rf"x\.npz.*{message}") as caught:
        read(saved(tmp_path / "x.npz", **members))
    assert caught.value.do


@pytest.mark.parametrize("members", [{"x": IMAGES}, {"x_new": IMAGES[:3], "other": IMAGES[3:]}])
def test_images_that_are_to_be_predicted_need_no_labels(tmp_path, members):
    path = saved(tmp_path / "x.npz", **members)
    found = [row for batch in npz.read(path, labelled=False) for row in batch.to_pylist()]
    assert found == [{"image": image.tobytes()} for image in IMAGES]


def test_labels_that_are_there_are_read_even_where_none_are_needed(tmp_path):
    path = saved(tmp_path / "x.npz", x=IMAGES, y=LABELS)
    assert [row for batch in npz.read(path, labelled=False) for row in batch.to_pylist()] == read(path)
    with pytest.raises(DataError, match="images must be bytes"):
        list(npz.read(saved(tmp_path / "y.npz", x=IMAGES / 255), labelled=False))


def test_nothing_is_unpickled(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, allow_pickle=True, x=IMAGES, y=np.array([print] * 7, object))
    with pytest.raises(DataError, match=r"y holds Python objects"):
        read(path)


def test_a_head_that_promises_other_rows_than_there_are_is_refused(tmp_path):
    path = saved(tmp_path / "x.npz", x=IMAGES, y=LABELS)
    heads = (({b"(7, 3, 2)": b"(8, 3, 2)"}, "x has 8 images"), ({b"(7, 3, 2)": b"(7, 3, 9)"}, "bytes of x are missing"))
    for changes, message in (*heads, ({b"(7, 3, 2)": b"(6, 3, 2)", b"(7,)": b"(6,)"}, "x is longer than its header")):
        other = tmp_path / "other.npz"
        with zipfile.ZipFile(path) as before, zipfile.ZipFile(other, "w") as after:
            for name in before.namelist():
                content = before.read(name)
                for old, new in changes.items():
                    content = content.replace(old, new)
                after.writestr(name, content)
        with pytest.raises(DataError, match=message):
            read(other)


@given(st.data(), st.booleans())
def test_a_damaged_or_cut_archive_is_refused_or_gives_the_same_rows(tmp_path_factory, data, cut):
    folder = tmp_path_factory.mktemp("t")
    path = saved(folder / "x.npz", True, x=IMAGES, y=LABELS)
    whole, content = read(path), bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content[:place] if cut else content)
    with suppress(DataError):  # anything else is a bug
        assert read(path) == whole
