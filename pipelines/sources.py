"""Where rows come from, and the pin that says exactly which.

A pin (data/<model>/pin.json, committed) names what is to be read: a built-in set with the hash of its
rows, or files under data/<model>/source/ with their sizes and hashes. Only `ratchet run` writes it;
`ingest` reads what it names and refuses anything else.
"""

import hashlib
import json
import zlib
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from pipelines import idx, rows
from pipelines.errors import DataError, IntegrityError, RequestError
from pipelines.settings import FORMAT, nearest

BATCH_ROWS = 16_384  # of a Parquet file or of JSON lines
BLOCK_BYTES = 4 << 20  # of a CSV file
SUFFIXES = {".csv": "csv", ".parquet": "parquet", ".jsonl": "lines", ".ndjson": "lines"}
KNOWN = f"{', '.join(SUFFIXES)}, and IDX files named as MNIST's are"


def followed(source: str) -> bool:
    """Whether it is a path or URL outside of the project, which DVC's import follows."""
    return "://" in source or (Path(source).is_absolute() and not Path(source).is_relative_to(Path.cwd()))


def pin_path(model: str) -> Path:
    return Path("data") / model / "pin.json"


def source_folder(model: str) -> Path:
    return Path("data") / model / "source"


def read_pin(model: str) -> dict[str, Any]:
    """The pin. Raises DataError if there is none yet, IntegrityError if it is not one."""
    path = pin_path(model)
    try:
        pin = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(
            f"{path} is missing: nothing is pinned yet.", f"Run `ratchet run {model}`, which pins the source."
        ) from error
    except ValueError as error:
        raise IntegrityError(f"{path} is not valid JSON: {error}.", f"Restore it: git checkout -- {path}") from error
    if not _is_pin(pin):
        raise IntegrityError(f"{path} is not a pin of format {FORMAT}.", f"Restore it: git checkout -- {path}")
    return dict(pin)


def _is_pin(pin: Any) -> bool:
    """Whether it says what `ingest` needs; a pinned file is named by its bare name."""
    if not isinstance(pin, dict) or pin.get("format") != FORMAT or not isinstance(pin.get("source"), str):
        return False
    if pin.get("kind") == "builtin":
        return {"name", "sha256"} <= set(pin)
    files = pin.get("files")
    return isinstance(files, list) and all(
        isinstance(entry, dict)
        and {"name", "bytes", "sha256"} <= set(entry)
        and Path(entry["name"]).name == entry["name"]
        for entry in files
    )


def file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_files(model: str, pin: dict[str, Any]) -> list[Path]:
    """The pinned files, in order. Raises IntegrityError naming the first that is not what was pinned."""
    folder = source_folder(model)
    names = [entry["name"] for entry in pin["files"]]
    extra = sorted(path.name for path in folder.glob("*") if path.name not in {*names, ".gitignore"})
    if extra:
        raise IntegrityError(
            f"{folder / extra[0]} is not pinned: only `ratchet run` puts files there.",
            f"Remove it, and let the `source:` of models/{model}.yaml name the data.",
        )
    for entry in pin["files"]:
        path = folder / entry["name"]
        if not path.is_file():
            raise IntegrityError(f"{path} is pinned and missing.", f"Bring it back: dvc checkout {folder}.dvc")
        if path.stat().st_size != entry["bytes"] or file_hash(path) != entry["sha256"]:
            raise IntegrityError(
                f"{path} is not what was pinned: its content has changed.",
                f"Bring the pinned version back: dvc checkout --force {folder}.dvc",
            )
    return [folder / name for name in names]


def format_of(path: Path) -> str:
    """How a file is read, by its name; "" for one that is not."""
    return "idx" if idx.is_idx(path) else SUFFIXES.get(path.suffix.lower(), "")


def read(path: Path, delimiter: str, encoding: str) -> Iterator[pa.RecordBatch]:
    """A file's rows as they are: text for CSV and JSON lines, its own types for Parquet, images and labels for IDX.

    Raises DataError if it cannot be read to its end.
    """
    readers: dict[str, Callable[[], Iterator[pa.RecordBatch]]] = {
        "csv": lambda: _read_csv(path, delimiter, encoding),
        "parquet": lambda: _read_parquet(path),
        "lines": lambda: _read_lines(path, encoding),
        "idx": lambda: idx.read(path),
    }
    if (kind := format_of(path)) not in readers:
        raise DataError(
            f"{path}: a {path.suffix or 'nameless'} file cannot be read; known: {KNOWN}.",
            "Convert it, or take it out of the source.",
        )
    try:
        yield from readers[kind]()
    except (pa.ArrowException, OSError, EOFError, zlib.error, UnicodeError) as error:
        raise DataError(
            f"{path} cannot be read: {' '.join(str(error).split())[:300]}.",
            "Correct the file, or `ingest: delimiter:` and `encoding:` in the model's YAML.",
        ) from error


def _read_parquet(path: Path) -> Iterator[pa.RecordBatch]:
    with pyarrow.parquet.ParquetFile(path, pre_buffer=False) as file:  # which would keep all of the file
        yield from file.iter_batches(BATCH_ROWS)


def _read_lines(path: Path, encoding: str) -> Iterator[pa.RecordBatch]:
    """JSON lines, every value as the text that stands there, so that a row is the same row as in a CSV.

    A key that a line lacks is a missing value. Two passes: the columns are all keys of all lines.
    """
    names = list(dict.fromkeys(name for line in _lines(path, encoding) for name in line))
    lines = _lines(path, encoding)
    while batch := list(islice(lines, BATCH_ROWS)):
        columns = {name: pa.array([line.get(name) for line in batch], pa.string()) for name in names}
        yield pa.RecordBatch.from_pydict(columns)


def _lines(path: Path, encoding: str) -> Iterator[dict[str, str | None]]:
    with path.open(encoding=encoding, newline="\n") as file:
        for number, text in enumerate(file, 1):
            if text.isspace():
                continue
            try:
                found = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
            except ValueError as error:
                raise DataError(f"{path}: line {number} is not JSON: {error}.", "Correct the file.") from error
            if not isinstance(found, dict):
                raise DataError(f"{path}: line {number} is no JSON object.", "Write one object in each line.")
            yield {name: _cell(path, number, name, value) for name, value in found.items()}


def _cell(path: Path, number: int, name: str, value: Any) -> str | None:
    """A value as text. Raises DataError for a list or an object."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    raise DataError(
        f"{path}: line {number}, key {name!r} holds a {type(value).__name__}, and a cell is one value.",
        "Flatten it before it arrives.",
    )


def _read_csv(path: Path, delimiter: str, encoding: str) -> Iterator[pa.RecordBatch]:
    """Every cell as text, so that no guess depends on the rows of a block."""
    parse = pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    read = pyarrow.csv.ReadOptions(
        encoding=encoding, block_size=BLOCK_BYTES, use_threads=False
    )  # so that errors name the row
    with pyarrow.csv.open_csv(path, read, parse) as reader:
        names = reader.schema.names
    text = pyarrow.csv.ConvertOptions(
        column_types={name: pa.string() for name in names}, strings_can_be_null=False, check_utf8=True
    )
    with pyarrow.csv.open_csv(path, read, parse, text) as reader:
        yield from reader


# ------------------------------------------------------------------ sets that come with scikit-learn


def digits() -> pa.Table:
    """1,797 images of 8 x 8 grey levels from 0 to 16 (UCI optical digits); target `digit`, 0 to 9."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = bunch.images.astype(np.uint8).reshape(-1, 64)
    return pa.table(
        {"image": pa.array([row.tobytes() for row in images], pa.binary(64)), "digit": pa.array(bunch.target)}
    )


def breast_cancer() -> pa.Table:
    """569 tumours, 30 measurements each (UCI Wisconsin diagnostic); target `diagnosis`: malignant, benign."""
    from sklearn.datasets import load_breast_cancer

    bunch = load_breast_cancer()
    names = [name.replace(" ", "_") for name in bunch.feature_names]
    diagnosis = bunch.target_names[bunch.target]
    return pa.table(dict(zip(names, bunch.data.T, strict=True)) | {"diagnosis": pa.array(diagnosis.tolist())})


def diabetes() -> pa.Table:
    """442 patients, 10 measurements (Efron et al. 2004), unscaled; target `progression` after one year."""
    from sklearn.datasets import load_diabetes

    bunch = load_diabetes(scaled=False)
    columns = dict(zip(bunch.feature_names, bunch.data.T, strict=True)) | {"progression": bunch.target}
    columns["sex"] = np.where(columns["sex"] == 1, "1", "2")
    return pa.table({name: pa.array(values.tolist()) for name, values in columns.items()})


BUILTIN: dict[str, Callable[[], pa.Table]] = {"digits": digits, "breast_cancer": breast_cancer, "diabetes": diabetes}


def builtin(name: str) -> pa.Table:
    """A built-in set. Raises RequestError, with the nearest name, for one that does not exist."""
    if name not in BUILTIN:
        raise RequestError(f"There is no built-in set {name!r}{nearest(name, list(BUILTIN))}.")
    return BUILTIN[name]()


def builtin_hash(table: pa.Table) -> str:
    """The content of a built-in set, whatever the version of the library that ships it."""
    return rows.content_hash(np.concatenate([rows.identify(b, table.column_names) for b in table.to_batches()]))
