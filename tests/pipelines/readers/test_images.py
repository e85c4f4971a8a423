"""Images: a folder of classes becomes rows, and an image that is not what was declared is named."""

import io
import json
import os
from contextlib import suppress

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipelines.errors import DataError, IntegrityError
from pipelines.readers import images, sources

IMAGE = {"kind": "image", "task": "classification", "target": "label", "shape": [4, 6, 3]}


def picture(seed: int = 0, shape: tuple[int, ...] = (4, 6, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def save(path, values, **about):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, **about)
    return path


def pixels(path, shape=(4, 6, 3), resize="none"):
    return np.frombuffer(images.pixels(path, list(shape), resize), np.uint8).reshape(shape)


@pytest.mark.parametrize("name", ["x.png", "x.bmp", "x.PNG"])
def test_an_image_comes_back_value_for_value(tmp_path, name):
    np.testing.assert_array_equal(pixels(save(tmp_path / name, picture())), picture())
    grey = picture(shape=(4, 6))
    np.testing.assert_array_equal(pixels(save(tmp_path / name, grey), (4, 6, 1))[..., 0], grey)


def test_jpeg_and_gif_are_read_too(tmp_path):
    smooth = np.linspace(0, 255, 64 * 64).reshape(64, 64).astype(np.uint8)
    for name in ("x.jpg", "x.jpeg", "x.gif"):
        found = pixels(save(tmp_path / name, smooth), (64, 64, 1))[..., 0]
        assert np.abs(found.astype(int) - smooth).max() < 12


def test_grey_becomes_rgb_and_rgb_grey_as_pillow_weighs_them(tmp_path):
    grey = picture(shape=(4, 6))
    assert (pixels(save(tmp_path / "grey.png", grey)) == grey[..., None]).all()
    weighed = np.asarray(Image.fromarray(picture()).convert("L"))
    assert (pixels(save(tmp_path / "rgb.png", picture()), (4, 6, 1))[..., 0] == weighed).all()


def test_what_is_transparent_is_white_or_a_channel_of_its_own(tmp_path):
    values = np.concatenate([picture(), np.zeros((4, 6, 1), np.uint8)], axis=2)
    path = save(tmp_path / "x.png", values)
    assert (pixels(path) == 255).all()
    assert (pixels(path, (4, 6, 4)) == values).all()


def test_an_image_is_turned_as_its_exif_data_say(tmp_path):
    values, exif = np.zeros((32, 16), np.uint8), Image.Exif()
    values[:16] = 255  # bright above
    exif[0x0112] = 6  # the camera was held on its side: turn it a quarter clockwise
    found = pixels(save(tmp_path / "x.jpg", values, exif=exif), (16, 32, 1))[..., 0]
    assert found[:, :12].max() < 60  # the bright half is now on the right
    assert found[:, 20:].min() > 200


def test_another_size_is_refused_unless_a_filter_is_named(tmp_path):
    path = save(tmp_path / "x.png", picture(shape=(8, 12, 3)))
    with pytest.raises(DataError, match=r"x\.png is 8 x 12 .* declares 4 x 6\. .* `ingest: resize: bilinear`"):
        pixels(path)
    averages = picture(shape=(8, 12, 3)).reshape(4, 2, 6, 2, 3).mean(axis=(1, 3))
    assert np.abs(pixels(path, resize="box") - averages).max() <= 1
    assert (pixels(path, resize="lanczos") != pixels(path, resize="box")).any()


def test_the_folder_is_the_class_and_the_one_above_it_the_split(tmp_path):
    names = [f"{label}/{index}.png" for label in ("cat", "dog 🐕") for index in range(3)]
    for index, name in enumerate(names):
        save(tmp_path / name, picture(index))
    (batch,) = images.read(tmp_path, names, [4, 6, 3], "none")
    assert batch.to_pylist() == [
        {"image": picture(index).tobytes(), "label": name.partition("/")[0]} for index, name in enumerate(names)
    ]
    save(tmp_path / "s" / "test" / "cat" / "1.png", picture())
    (batch,) = images.read(tmp_path / "s", ["test/cat/1.png"], [4, 6, 3], "none")
    assert batch.to_pylist() == [{"image": picture().tobytes(), "label": "cat", "split": "test"}]


def test_images_come_a_few_at_a_time(tmp_path, monkeypatch):
    names = [f"a/{index}.png" for index in range(7)]
    for index, name in enumerate(names):
        save(tmp_path / name, picture(index))
    monkeypatch.setattr(images, "BATCH_BYTES", 3 * 72 + 1)
    assert [batch.num_rows for batch in images.read(tmp_path, names, [4, 6, 3], "none")] == [3, 3, 1]


def test_an_image_in_no_folder_of_a_class_has_no_label(tmp_path):
    names = [f"{index}.png" for index in range(3)]
    for index, name in enumerate(names):
        save(tmp_path / name, picture(index))
    (batch,) = images.read(tmp_path, names, [4, 6, 3], "none")
    assert batch.to_pylist() == [{"image": picture(index).tobytes()} for index in range(3)]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["x.png"], "lies in no class folder"),
        (["a/b/x.png"], "lies in the folders a/b"),
        (["train/a/b/x.png"], "lies in the folders train/a/b"),
        (["test/a/x.png", "b/x.png"], "test/a/x.png lies in a split, but b/x.png does not"),
    ],
)
def test_folders_that_mean_nothing_are_refused(names, message):
    with pytest.raises(DataError, match=message) as caught:
        images.check_places(names)
    assert caught.value.do


def encoded(kind: str, values: np.ndarray, **about) -> bytes:
    file = io.BytesIO()
    Image.fromarray(values).save(file, kind, **about)
    return file.getvalue()


BAD = {
    "empty": (b"", "is not a complete, readable image"),
    "text": (b"a,b\n1,2\n", "is not a complete, readable image"),
    "cut": (encoded("PNG", picture())[:-40], "is not a complete, readable image"),
    "cut jpeg": (encoded("JPEG", picture(shape=(64, 64)))[:-400], "is not a complete, readable image"),
    "another kind": (encoded("TIFF", picture()), "is not a complete, readable image"),
    "16 bits": (encoded("PNG", picture().astype(np.uint16)[..., 0] * 257), "has more than 8 bits in a channel"),
    "animated": (
        encoded("GIF", picture(), save_all=True, append_images=[Image.fromarray(picture(1))]),
        "holds 2 images",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_an_image_that_cannot_be_read_whole_is_named(tmp_path, case):
    content, message = BAD[case]
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(DataError, match=rf"x\.png {message}") as caught:
        pixels(tmp_path / "x.png")
    assert caught.value.do


def test_an_image_beyond_all_reason_is_refused_before_it_is_decoded(tmp_path):
    """A small file that says that it is huge."""
    head = encoded("BMP", picture())
    size = (60_000).to_bytes(4, "little")
    (tmp_path / "x.bmp").write_bytes(head[:18] + size + size + head[26:])
    with pytest.raises(DataError, match=r"x\.bmp (is not a complete|has more than)"):
        pixels(tmp_path / "x.bmp")


@given(st.sampled_from(["PNG", "JPEG", "BMP", "GIF"]), st.data())
def test_a_damaged_image_gives_pixels_or_a_paragraph(tmp_path_factory, kind, data):
    content = bytearray(encoded(kind, picture()))
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=6)):
        content[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("t") / "x.png"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    with suppress(DataError):  # anything else is a bug
        assert len(images.pixels(path, [4, 6, 3], "nearest")) == 72


def test_a_table_does_not_take_images(tmp_path):
    with pytest.raises(DataError, match=r"holds images, and `data:` declares the shape \[\]"):
        list(images.read(tmp_path, ["a/x.png"], [], "none"))


def test_a_folder_of_images_holds_nothing_else(tmp_path):
    save(tmp_path / "a" / "1.png", picture())
    for name in ("notes.txt", "old/rows.csv"):  # not in a folder of images: as beside tables
        (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / "notes.txt").touch()
    for name in ("a/.hidden.png", "a/Thumbs.db", "a/1.png.sha256"):
        (tmp_path / name).touch()
    assert images.listed(tmp_path) == [tmp_path / "a" / "1.png"]
    (tmp_path / "a" / "2.webp").touch()
    with pytest.raises(DataError, match=r"a/2\.webp is not an image of a known kind"):
        images.listed(tmp_path)
    (tmp_path / "a" / "2.webp").unlink()
    os.symlink(tmp_path.parent, tmp_path / "b")
    with pytest.raises(DataError, match=r"/b is a link to a folder"):
        images.listed(tmp_path)


def test_ingest_reads_pinned_images(world):
    world.declare(data_=IMAGE, ingest={"source": "data/incoming/pets/"})
    folder = world.root / "data" / "pets" / "source"
    names = [f"{label}/{index}.png" for label in ("cat", "dog") for index in range(3)]
    for index, name in enumerate(names):
        save(folder / name, picture(index))
    entries = [
        {"name": name, "bytes": (folder / name).stat().st_size, "sha256": sources.file_hash(folder / name)}
        for name in names
    ]
    pin = {"format": 1, "source": "data/incoming/pets/", "kind": "files", "files": entries}
    (folder.parent / "pin.json").write_text(json.dumps(pin))
    raw = pq.read_table(world.run("ingest") / "raw.parquet")
    assert raw["image"].to_pylist() == [picture(index).tobytes() for index in range(6)]
    assert raw["label"].to_pylist() == ["cat"] * 3 + ["dog"] * 3
    (folder / "cat" / "extra.png").touch()
    with pytest.raises(IntegrityError, match=r"cat/extra\.png is not pinned"):
        world.run("ingest")


def test_a_class_that_is_no_whole_number_is_named_by_its_folder(world):
    world.declare(data_=IMAGE | {"label": "integer"})
    path = save(world.root / "data" / "pets" / "source" / "three" / "1.png", picture())
    entry = {"name": "three/1.png", "bytes": path.stat().st_size, "sha256": sources.file_hash(path)}
    pin = {"format": 1, "source": "data/incoming/pets/", "kind": "files", "files": [entry]}
    (world.root / "data" / "pets" / "pin.json").write_text(json.dumps(pin))
    with pytest.raises(DataError, match=r"^three/: Row 1, column 'label': 'three' is not a whole number"):
        world.run("ingest")
