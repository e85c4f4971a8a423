"""IDX: the files of MNIST become rows, and what is not whole is refused by name."""

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import DataError
from pipelines.readers import sources
from pipelines.readers.formats import idx
from tests.support.world import ROOT

MNIST = ROOT.parent / "shared" / "data" / "mnist"
IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
SHAPE = (3, 2)
endings = pytest.mark.parametrize("ending", ["", ".gz"])


def encoded(values: np.ndarray, kind: int = 8) -> bytes:
    """The file format, written as its definition says."""
    head = bytes([0, 0, kind, values.ndim]) + b"".join(size.to_bytes(4, "big") for size in values.shape)
    return head + values.astype(np.uint8).tobytes()


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, *SHAPE)).astype(np.uint8)


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def pair(folder: Path, count: int = 7, part: str = "train", ending: str = "") -> tuple[Path, Path]:
    """A file of images, numbered from 0 on by their labels, and that of the labels."""
    return (
        write(folder / f"{part}-images-idx3-ubyte{ending}", encoded(pictures(count))),
        write(folder / f"{part}-labels-idx1-ubyte{ending}", encoded(np.arange(count))),
    )


def read(path: Path) -> list[dict]:
    """As `ingest` reads a source."""
    return [row for batch in sources.read(path, ",", "utf-8") for row in batch.to_pylist()]


def refused(path: Path) -> str:
    """The message of the error that reading a file ends with; it names the file."""
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


@endings
@pytest.mark.parametrize(("part", "split"), [("train", "train"), ("t10k", "test"), ("test", "test"), ("own", "train")])
def test_images_come_back_with_their_labels_and_their_split(tmp_path, ending, part, split):
    images, labels = pair(tmp_path, 7, part, ending)
    assert read(images) == [
        {"image": picture.tobytes(), "label": label, "split": split} for label, picture in enumerate(pictures(7))
    ]
    assert read(labels) == []  # they have come with their images


def test_rows_come_a_few_at_a_time(tmp_path, monkeypatch):
    images, _ = pair(tmp_path)
    whole = read(images)
    monkeypatch.setattr(idx, "BATCH_BYTES", 3 * 6 + 1)
    assert [batch.num_rows for batch in idx.read(images)] == [3, 3, 1]
    assert read(images) == whole


def test_images_of_several_channels_are_read_too(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (2, 3, 2, 3))
    write(tmp_path / LABELS, encoded(np.array([1, 0])))
    found = read(write(tmp_path / "train-images-idx4-ubyte", encoded(values)))
    assert [row["image"] for row in found] == [picture.astype(np.uint8).tobytes() for picture in values]


def test_only_files_with_such_names_are_idx():
    for name in ("t10k-images-idx3-ubyte.gz", LABELS, f"my-{IMAGES}"):
        assert idx.is_idx(Path(name))
    for name in ("rows.csv", "images.gz", f"{IMAGES}.zip", "train-labels-idx3-ubyte"):
        assert not idx.is_idx(Path(name))


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    """A folder that has a pair, once gzipped and once not, to be copied from."""
    folder = tmp_path_factory.mktemp("sound")
    for ending in ("", ".gz"):
        pair(folder, ending=ending)
    return folder


@given(st.sampled_from([IMAGES, LABELS, f"{IMAGES}.gz", f"{LABELS}.gz"]), st.floats(0, 1, exclude_max=True))
def test_a_file_that_is_cut_off_anywhere_is_refused(tmp_path_factory, sound, name, share):
    folder = tmp_path_factory.mktemp("t")
    for path in sound.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError) as caught:
        read(folder / name.replace(LABELS, IMAGES))
    assert str(folder / name) in str(caught.value)


def test_a_gzip_whose_content_was_changed_is_refused(tmp_path):
    images, _ = pair(tmp_path, ending=".gz")
    content = bytearray(gzip.compress(encoded(pictures(7)), compresslevel=0))  # 0: stored as it is
    content[-20] ^= 1  # a pixel
    images.write_bytes(content)
    assert "CRC check failed" in refused(images)


@endings
def test_a_file_that_says_less_than_it_holds_is_refused(tmp_path, ending):
    images, _ = pair(tmp_path, ending=ending)
    write(images, encoded(pictures(7)) + b"\0")
    assert "is longer than its header says" in refused(images)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not an IDX file of bytes"),
        (b"row,label\n1,2\n", "is not an IDX file of bytes"),
        (encoded(pictures(7), kind=9), "is not an IDX file of bytes"),  # signed bytes
        (b"\1" + encoded(pictures(7))[1:], "is not an IDX file of bytes"),
        (b"\0\0\x08\0", "is not an IDX file of bytes"),  # no dimension
        (encoded(pictures(7))[:9], "is not an IDX file of bytes"),
        (encoded(pictures(7))[:-5], "is cut off: 5 bytes are missing"),
        (encoded(pictures(6)), "has 6 images, and train-labels-idx1-ubyte 7 labels"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path, content, message):
    images, _ = pair(tmp_path)
    assert message in refused(write(images, content))


def test_labels_are_read_as_strictly_as_images_and_are_the_file_that_is_named(tmp_path):
    images, labels = pair(tmp_path)
    for content, message in (
        (encoded(np.arange(7), kind=9), "is not an IDX file of bytes"),
        (encoded(np.arange(7))[:6], "is not an IDX file of bytes"),
        (encoded(np.arange(7))[:-2], "is cut off: 2 bytes are missing"),
        (encoded(np.arange(7)) + b"\0", "is longer than its header says"),
    ):
        write(labels, content)
        with pytest.raises(DataError) as caught:
            read(images)
        assert str(caught.value).startswith(f"{labels} {message}")


def test_images_without_labels_are_refused(tmp_path):
    images, labels = pair(tmp_path)
    labels.unlink()
    assert f"has no labels: {labels.name} is missing" in refused(images)


def test_images_that_are_to_be_predicted_need_none(tmp_path):
    images, labels = pair(tmp_path)
    whole = read(images)
    assert pa.Table.from_batches(idx.read(images, labelled=False)).to_pylist() == whole
    labels.unlink()
    found = pa.Table.from_batches(idx.read(images, labelled=False)).to_pylist()
    assert found == [{"image": row["image"]} for row in whole]


def test_what_is_no_gzip_under_its_name_is_refused(tmp_path):
    images, _ = pair(tmp_path, ending=".gz")
    images.write_bytes(encoded(pictures(7)))
    assert "is not a complete gzip file: Not a gzipped file" in refused(images)


@pytest.mark.skipif(not MNIST.is_dir(), reason="MNIST is not beside this repository (shared/data/mnist)")
def test_mnist_itself_is_read():
    counts: dict[str, int] = {}
    labels: set[int] = set()
    for path in sorted(MNIST.iterdir()):
        for batch in sources.read(path, ",", "utf-8"):
            for split in batch["split"].to_pylist():
                counts[split] = counts.get(split, 0) + 1
            labels.update(batch["label"].to_pylist())
            assert {len(image) for image in batch["image"].to_pylist()} == {28 * 28}
    assert counts == {"train": 60_000, "test": 10_000}
    assert labels == set(range(10))
