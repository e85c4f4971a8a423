"""What a network of kind `attention` attended to: shares of attention, as means over rows, and their pictures.

Attention says where the network looked, not what the answer would have been without it (Jain and Wallace 2019).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipelines import visible_text
from pipelines.explaining import parts, plain_figure
from pipelines.explaining.columns import Arrays, columns, count, rows
from pipelines.explaining.parts import Parts

ROWS = 1000  # at most, over which means are taken
SCORES = 1 << 22  # shares of attention that are held at once
MOST_SHOWN = 16  # columns in a picture: those with most attention
MOST_LABELS = 16  # on a side of a map of steps; columns have one each
LETTERS = 24  # of a column's name
DOTS = 80  # per inch
ANSWER = "the answer itself"
NO_IMPORTANCE = (
    "Attention says where the network looked, not what the answer would be without it: that is what importance says."
)


@dataclass(frozen=True)
class Attended:
    """names: of the tokens, the answer's first. blocks: for each the shares float64 [heads, asking tokens, tokens],
    which add up to 1 in the last axis, as means over `rows` rows. The last block asks for the answer alone."""

    names: list[str]
    blocks: list[np.ndarray]
    rows: int


def attended(model: Any, about: dict[str, Any], arrays: Arrays) -> Attended | None:
    """What the network attended to in the given rows, at most ROWS of them; None if it is of another kind.

    model: a keras.Model of raw rows. about: model.json. arrays: as predictor.to_arrays gives them, at least one row.
    """
    import keras

    if not attends(model):
        return None
    whole = Parts(model)
    network, before = whole.network, whole.features
    attention = _attention(network)
    inside = keras.Model(network.input, [part for layer in attention for part in layer.input])  # queries and values
    many = min(count(arrays), ROWS)
    tokens = attention[0].input[1].shape[1]
    size = max(1, SCORES // (tokens**2 * max(layer.num_heads for layer in attention)))
    sums: list[Any] = [0.0] * len(attention)
    for start in range(0, many, size):
        asked = inside(before(rows(arrays, slice(start, min(start + size, many)))))
        each = zip(attention, asked[::2], asked[1::2], strict=True)
        for place, (layer, query, value) in enumerate(each):
            _, scores = layer(query, value, return_attention_scores=True)
            sums[place] = sums[place] + np.asarray(scores, np.float64).sum(axis=0)
    return Attended([ANSWER, *_names(network, about)], [one / many for one in sums], many)


def attends(model: Any) -> bool:
    """Whether the network of a model is one of kind `attention`, and not of a user's own."""
    network = parts.network(model)
    known = {layer.name for layer in network.layers} if network else set()
    return "answer" in known and [layer.name for layer in _attention(network)] == [
        f"attention_{place}" for place in range(len(_attention(network)))
    ]


def _attention(network: Any) -> list[Any]:
    import keras

    return [layer for layer in network.layers if isinstance(layer, keras.layers.MultiHeadAttention)]


def _names(network: Any, about: dict[str, Any]) -> list[str]:
    """The names of the tokens after the first one, in the order in which the network has them."""
    if about["kind"] == "image":
        return [f"{row + 1}" for row in range(about["shape"][0])]
    if about["kind"] == "sequence":
        return [f"{step}" for step in range(about["past"]["window"], 0, -1)]
    first = _first_features(network)
    names = [column.name for column in columns(about)]
    return [names[place] for place in np.argsort(np.argsort(first))]  # columns lie in the features in their order


def _first_features(network: Any) -> list[int]:
    """The number of the first feature that each token of a table takes: what `columns_<n>` makes of these numbers."""
    import keras

    sized = {int(layer.name[8:]): layer for layer in network.layers if layer.name.startswith("columns_")}
    numbers = np.arange(network.input.shape[1], dtype=np.float32)[None]
    taken = [keras.Model(network.input, sized[size].output)(numbers) for size in sorted(sized)]
    return [int(place) for some in taken for place in np.asarray(some)[0, :, 0]]


def draw(model: Any, about: dict[str, Any], arrays: Arrays, out: Path) -> list[dict[str, str]]:
    """Draw what was attended to into the folder `out`; returns file, title and about of each picture.

    Nothing for networks of other kinds.
    """
    seen = attended(model, about, arrays)
    if seen is None:
        return []
    return list(_drawn(seen, about["kind"], out))


def _drawn(seen: Attended, kind: str, out: Path) -> Iterator[dict[str, str]]:
    what, axis = {
        "image": ("rows of the image", "row of the image"),
        "sequence": ("steps of the window", "steps before the forecast begins"),
        "table": ("columns", ""),
    }[kind]
    of_answer = seen.blocks[-1][:, 0]
    shown = _shown(seen, of_answer.mean(axis=0), kind)
    names = [_short(seen.names[place]) for place in shown]
    title = f"What the answer attended to: {what}"
    even = 1 / len(seen.names)
    path = out / "attention-answer.png"
    (_lines if kind == "sequence" else _bars)(of_answer[:, shown], names, even, title, axis, path)
    yield {
        "file": "attention-answer.png",
        "title": title,
        "about": f"The share of its attention that the answer gives to each of the {what} in the last block, for each "
        f"head, as a mean over {seen.rows:,} test rows. Dashed: if all had the same. {NO_IMPORTANCE}",
    }
    if len(seen.blocks) == 1:
        return
    first = seen.blocks[0]
    shown = [place for place in _shown(seen, first.mean(axis=(0, 1)), kind) if place]
    title = f"What attended to what: {what}"
    names = [_short(seen.names[place]) for place in shown]
    _maps(first[:, shown][:, :, shown], names, title, axis, out / "attention-between.png")
    yield {
        "file": "attention-between.png",
        "title": title,
        "about": f"The share of attention that each of the {what} (below one another) gives to each (side by side) in "
        f"the first block, for each head, as a mean over {seen.rows:,} test rows. {NO_IMPORTANCE}",
    }


def _shown(seen: Attended, shares: np.ndarray, kind: str) -> list[int]:
    """The places of the tokens in a picture: of columns those with most attention first, else all in their order."""
    places = range(len(seen.names))
    if kind != "table":
        return list(places)
    return sorted(places, key=lambda place: -shares[place])[:MOST_SHOWN]


def _bars(shares: np.ndarray, names: list[str], even: float, title: str, axis: str, path: Path) -> None:
    """A bar for each token, the mean over heads, and a point for each head. shares: [heads, tokens]."""
    figure = plain_figure.new(8.0, 1.6 + 0.24 * len(names), layout="constrained")
    axes = figure.add_subplot(title=title, xlabel="share of attention", ylabel=axis)
    axes.barh(range(len(names)), shares.mean(axis=0), color="0.85")
    for head, mine in enumerate(shares):
        axes.plot(mine, range(len(names)), marker=".", linestyle="none", label=f"head {head + 1}")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.axvline(even, color="0.4", linestyle="--", linewidth=0.8)
    axes.legend(fontsize="x-small")
    plain_figure.save(figure, path, DOTS)


def _lines(shares: np.ndarray, names: list[str], even: float, title: str, axis: str, path: Path) -> None:
    """A line over the steps for each head; the answer itself is left out. shares: [heads, 1 + steps]."""
    figure = plain_figure.new(8.0, 4.0, layout="constrained")
    axes = figure.add_subplot(title=title, xlabel=axis, ylabel="share of attention")
    for head, mine in enumerate(shares):
        axes.plot(mine[1:], marker=".", linewidth=1, label=f"head {head + 1}")
    axes.axhline(even, color="0.4", linestyle="--", linewidth=0.8)
    every = max(1, (len(names) - 1) // 12)
    places = range(len(names) - 2, -1, -every)
    axes.set_xticks(places, [names[1 + place] for place in places])
    axes.legend(fontsize="x-small")
    plain_figure.save(figure, path, DOTS)


def _maps(shares: np.ndarray, names: list[str], title: str, axis: str, path: Path) -> None:
    """A heat map for each head, all in the same colours. shares: [heads, tokens, tokens]."""
    wide = min(2, len(shares))
    high = -(-len(shares) // wide)
    figure = plain_figure.new(1.5 + 4.0 * wide, 0.8 + 4.2 * high, layout="constrained")
    figure.suptitle(title)
    figure.supxlabel(axis, fontsize="medium")
    every = max(1, -(-len(names) // MOST_LABELS))
    places = range(0, len(names), every)
    labels = [names[place] for place in places]
    for head, mine in enumerate(shares):
        axes = figure.add_subplot(high, wide, head + 1, title=f"head {head + 1}")
        image = axes.imshow(mine, cmap="cividis", vmin=0, vmax=shares.max())
        axes.set_xticks(places, labels, rotation=90, fontsize="x-small")
        axes.set_yticks(places, labels if head % wide == 0 else [], fontsize="x-small")
    figure.colorbar(image, ax=figure.axes, shrink=0.6, label="share of attention")
    plain_figure.save(figure, path, DOTS)


def _short(name: str) -> str:
    seen = visible_text.line(name)
    return seen if len(seen) <= LETTERS else f"{seen[: LETTERS - 1]}…"
