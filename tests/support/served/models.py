"""The models that tests of the server use, made by hand: what they are, what their columns are, and rows of each.

pets: a table, two classes, a date. weights: a table, a number. tiles: pictures. shops: a series.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.support.served import graphs


@dataclass(frozen=True)
class Model:
    """A model made by hand."""

    graph: Callable[[float], bytes]
    about: dict[str, Any]  # of model.json
    columns: dict[str, Any]  # columns.json, but for its format
    words: list[list[str]]  # that it knows, for each column of words, in the order of the graph
    examples: list[Any]


def number(name: str, least: float, most: float, whole: bool = False, sensitive: bool = False) -> dict[str, Any]:
    bounds = {"least": None, "most": None} if sensitive else {"least": least, "most": most}
    return {"name": name, "role": "number", **bounds, "words": [], "more_words": 0, "whole": whole} | _rest(sensitive)


def category(name: str, words: list[str], sensitive: bool = False) -> dict[str, Any]:
    shown = [] if sensitive else words
    about = {"name": name, "role": "category", "least": None, "most": None, "words": shown, "more_words": 0}
    return about | {"whole": False} | _rest(sensitive)


def day(name: str) -> dict[str, Any]:
    about = {"name": name, "role": "date", "least": None, "most": None, "words": [], "more_words": 0, "whole": False}
    return about | _rest(False)


def _rest(sensitive: bool) -> dict[str, Any]:
    return {"sensitive": sensitive, "missing": True}


def pets_row(**changes: Any) -> dict[str, Any]:
    """A dog, more or less."""
    return {"weight": 12.5, "age": 3, "colour": "brown", "born": "2023-05-01"} | changes


def shops_rows(hours: int = 8, shop: str = "a") -> list[dict[str, Any]]:
    """A forecast's rows: a shop that sells one more in each hour, and the last hour's sale is not known yet."""
    rows = [
        {"at": f"2026-01-01T{hour:02d}:00:00Z", "shop": shop, "warm": 5.5, "sky": "clear", "sold": float(hour)}
        for hour in range(hours)
    ]
    return [*rows[:-1], rows[-1] | {"sold": None}]


def columns(kind: str, task: str, target: str, found: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    about: dict[str, Any] = {"kind": kind, "task": task, "target": target, "label": "text", "classes": []}
    about |= {"shape": [], "window": 0, "horizon": 1, "step": 0.0, "time": "", "series": [], "lags": {}}
    return about | {"baseline": None, "columns": found, "instants": {}, "example": {}} | more


def about(kind: str, task: str, target: str, classes: list[Any], **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"format": 1, "task": task, "target": target, "label": "text", "classes": classes}
    found |= {"batch_size": 16, "hardware": {"precision": "float32"}, "kind": kind, "shape": []}
    return found | {"numbers": [], "categories": []} | more


PETS = Model(
    graphs.pets,
    about(
        "table",
        "classification",
        "animal",
        ["cat", "dog"],
        numbers=["weight", "age"],
        categories=["colour"],
        dates=["born"],
        reader=2,
    ),
    columns(
        "table",
        "classification",
        "animal",
        [number("weight", 0.5, 40.0), number("age", 0, 14, True), category("colour", graphs.COLOURS), day("born")],
        classes=["cat", "dog"],
        example=pets_row(),
    ),
    [graphs.COLOURS],
    [pets_row(), pets_row(weight=4.0, age=None), pets_row(colour="white", born="2020-01-31T12:00:00+00:00")],
)
WEIGHTS = Model(
    graphs.weights,
    about("table", "regression", "weight", [], numbers=["age"], categories=["colour"], reader=2),
    columns(
        "table",
        "regression",
        "weight",
        [number("age", 0, 14, True), category("colour", graphs.COLOURS, sensitive=True)],
        example={"age": 3, "colour": None},
    ),
    [graphs.COLOURS],
    [{"age": 3, "colour": None}, {"age": None, "colour": None}],
)
TILES = Model(
    graphs.tiles,
    about("image", "classification", "tile", [0, 1, 2], label="integer", shape=[6, 6, 1]),
    columns(
        "image",
        "classification",
        "tile",
        [],
        label="integer",
        classes=[0, 1, 2],
        shape=[6, 6, 1],
        example={"image": [[20] * 6] * 6},
    ),
    [],
    [{"image": [[20] * 6] * 6}, {"image": [[200] * 3 + [20] * 3] * 6}],
)
SHOPS = Model(
    graphs.shops,
    about(
        "sequence",
        "regression",
        "sold",
        [],
        categories=["shop"],
        dates=["at"],
        past={"window": 6, "numbers": ["warm", "past_sold"], "categories": ["sky"]},
        reader=2,
    ),
    columns(
        "sequence",
        "regression",
        "sold",
        [
            day("at"),
            number("warm", -4.0, 14.0),
            category("sky", ["clear", "cloud"]),
            category("shop", ["a", "b"]),
        ],
        window=6,
        step=3600.0,
        time="at",
        series=["shop"],
        example={"rows": shops_rows()},
    ),
    [["clear", "cloud"], ["a", "b"]],
    [{"rows": shops_rows()}, {"rows": shops_rows(3, "b")}],
)
MODELS = {"pets": PETS, "weights": WEIGHTS, "tiles": TILES, "shops": SHOPS}
