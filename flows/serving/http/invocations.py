"""MLflow's protocol: what its clients send, as raw rows.

JSON is an object with one of `dataframe_records`, `dataframe_split`, `instances` and `inputs`; `params` beside it is
ignored, since no model here takes any. CSV has the names of its columns in its first line.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from flows.serving.http import faults
from flows.serving.problem import Problem

FORMS = ("dataframe_records", "dataframe_split", "instances", "inputs")
MISSING = frozenset(  # as pandas reads CSV, and MLflow with it
    {"", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"}
    | {"<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"}
)
Row = dict[str, Any]


def of_json(content: Any, columns: Sequence[str]) -> list[Row]:
    """The rows of a request. columns: those that the model takes. Raises Problem for what is no such request."""
    given = [name for name in FORMS if name in content] if isinstance(content, dict) else []
    if len(given) != 1:
        detail = f"It has {' and '.join(given)}." if given else "It has none of MLflow's forms."
        raise _wrong(detail, f"Send an object with exactly one of {', '.join(FORMS)}.")
    form, data = given[0], content[given[0]]
    if form == "dataframe_split":
        return _split(data)
    if form == "dataframe_records" or _is_objects(data):
        return _records(form, data)
    if isinstance(data, dict):
        return _columns(form, data)
    if isinstance(data, list) and len(columns) == 1:
        return [{columns[0]: value} for value in data]
    raise _wrong(
        f"{form} holds values without the names of their columns, and the model takes {len(columns)} columns.",
        "Send a list of objects, one for each row.",
    )


def of_csv(body: bytes) -> list[Row]:
    """The rows of a CSV body, all cells as text, None where one is missing. Raises Problem for what is no CSV."""
    try:
        lines = csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True)
        header, *cells = [line for line in lines if line]
    except UnicodeDecodeError as error:
        raise _wrong(f"Byte {error.start + 1} of the body is no UTF-8.", "Send the CSV in UTF-8.") from None
    except csv.Error as error:
        raise _wrong(f"The CSV cannot be read: {error}.", "Send comma-separated values as RFC 4180 says.") from None
    except ValueError:
        raise _wrong("The CSV is empty.", "Send a first line with the names of the columns, then the rows.") from None
    _check_once(header)
    for number, line in enumerate(cells, 1):
        if len(line) > len(header):
            detail = f"Row {number} of the CSV has {len(line)} cells, and the first line names {len(header)} columns."
            raise _wrong(detail, "Send as many cells as columns; quote cells that hold a comma.")
    return [dict(zip_longest(header, [None if cell in MISSING else cell for cell in line])) for line in cells]


def _is_objects(data: Any) -> bool:
    return isinstance(data, list) and bool(data) and all(isinstance(row, dict) for row in data)


def _records(form: str, data: Any) -> list[Row]:
    """Rows as objects. What one of them lacks and another one has is missing there, as in a table."""
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise _wrong(f"{form} is no list of objects.", "Send one object for each row.")
    names = dict.fromkeys(name for row in data for name in row)
    if all(len(row) == len(names) for row in data):
        return list(data)
    return [{name: row.get(name) for name in names} for row in data]


def _split(data: Any) -> list[Row]:
    if not isinstance(data, dict) or not isinstance(data.get("data"), list):
        raise _wrong("dataframe_split is no object with a list `data`.", "Send `columns` and `data`.")
    if unknown := sorted(set(data) - {"columns", "index", "data"}):
        raise _wrong(
            f"dataframe_split has the key {unknown[0][:80]!r}.", "Send `columns`, `data`, and perhaps `index`."
        )
    names = data.get("columns")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise _wrong("`columns` of dataframe_split is no list of names.", "Send the names of the columns.")
    _check_once(names)
    for number, cells in enumerate(data["data"], 1):
        if not isinstance(cells, list) or len(cells) != len(names):
            raise _wrong(f"Row {number} of `data` has no {len(names)} cells, one for each column.", "Send such a row.")
    return [dict(zip(names, cells, strict=True)) for cells in data["data"]]


def _columns(form: str, data: Mapping[str, Any]) -> list[Row]:
    """One list for each column. A single value each is one row."""
    if not any(isinstance(cells, list) for cells in data.values()):
        return [dict(data)] if data else []
    lengths = {name: len(cells) if isinstance(cells, list) else 1 for name, cells in data.items()}
    if len(set(lengths.values())) > 1:
        raise _wrong(f"The columns of {form} have different lengths: {_some(lengths)}.", "Send equally many values.")
    lists = [cells if isinstance(cells, list) else [cells] for cells in data.values()]
    return [dict(zip(data, cells, strict=True)) for cells in zip(*lists, strict=True)]


def _some(lengths: Mapping[str, int]) -> str:
    return ", ".join(f"{name[:40]!r} {length}" for name, length in list(lengths.items())[:4])


def _check_once(names: Sequence[str]) -> None:
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise _wrong(f"The column {twice[:80]!r} is there twice.", "Send each column once.")


def _wrong(detail: str, repair: str) -> Problem:
    return faults.not_rows(detail, repair)
