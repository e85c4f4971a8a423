"""Attention between the steps of a window, the rows of an image or the columns of a table, before the dense layers.

Each of them is a token, a list of `width` numbers. A column becomes one as in the feature tokenizer of Gorishniy et al.
2021 (FT-Transformer): by weights of its own for its value, its word or its date. A further token, first and without
features, gathers the answer. Blocks as Vaswani et al. 2017 have them, normalised before and not after (Xiong et al.
2020); the last one computes only the token of the answer. A step has learned numbers for its position; a column needs
none, because its weights are its own.
"""

from collections import defaultdict
from typing import Any

from pydantic import Field, model_validator

from pipelines.config.data import Data
from pipelines.model.architecture import Architecture, Layers, Places, dense

WIDTH, HEADS, BLOCKS = 32, 4, 2  # unless said
MOST_TOKENS = 256  # each is compared with each, in every row of a batch: with four heads that is 1 GiB


class Attention(Layers):
    width: int | None = Field(None, ge=1, le=512)
    """Numbers that stand for a step, a row of an image or a column; 32 unless said. Only for `attention`."""
    heads: int | None = Field(None, ge=1, le=16)
    """Heads of each attention layer, which must divide `width`; 4 unless said. Only for `attention`."""
    blocks: int | None = Field(None, ge=1, le=12)
    """Blocks of an attention layer and two dense ones; 2 unless said. Only for `attention`."""

    @model_validator(mode="after")
    def _heads_divide(self) -> "Attention":
        heads, width = self.heads or HEADS, self.width or WIDTH
        if width % heads:
            raise ValueError(f"`heads` {heads} does not divide `width` {width}: each head has an equal part of it")
        return self


def problem(data: Data) -> str:
    """Why the network cannot read such rows; "" if it can."""
    count, what = {
        "sequence": (data.window, "steps of a window"),
        "image": (data.shape[0] if data.shape else 0, "rows of an image"),
        "table": (len(data.features), "columns"),
    }[data.kind]
    if count <= MOST_TOKENS:
        return ""
    others = "mlp" if data.kind == "table" else "cnn or rnn"
    return f"attention compares each of {count:,} {what} with each, and at most {MOST_TOKENS} fit: take {others}"


def build(config: Attention, start: Any, seed: int, columns: Places | None) -> Any:
    """columns: of a table, where its columns lie in the features; else None."""
    from keras import layers

    width, heads = config.width or WIDTH, config.heads or HEADS
    values = _of_columns(start, columns, width, seed) if columns else _of_steps(start, width, seed)
    most = values.shape[1] - 1
    for index in range(blocks := config.blocks or BLOCKS):
        seen = layers.LayerNormalization(name=f"norm_{index}")(values) if index else values
        asking = seen
        if index + 1 == blocks:
            values = layers.Cropping1D((0, most), name="of_answer")(values)
            asking = layers.Cropping1D((0, most), name="asking")(seen)
        attention = layers.MultiHeadAttention(
            heads, width // heads, dropout=config.dropout, seed=seed + 1000 + 2 * index, name=f"attention_{index}"
        )
        values = layers.Add(name=f"attended_{index}")([values, attention(asking, seen)])
        inner = layers.LayerNormalization(name=f"inner_norm_{index}")(values)
        inner = layers.Dense(2 * width, activation=config.activation, name=f"inner_{index}")(inner)
        if config.dropout:
            inner = layers.Dropout(config.dropout, seed=seed + 1001 + 2 * index, name=f"inner_dropout_{index}")(inner)
        inner = layers.Dense(width, name=f"outer_{index}")(inner)
        values = layers.Add(name=f"block_{index}")([values, inner])
    return dense(config, layers.LayerNormalization(name="norm")(values), seed)


def _of_steps(start: Any, width: int, seed: int) -> Any:
    """Steps [rows, steps, ...] -> tokens [rows, 1 + steps, width]: one dense layer, and a bias for each place."""
    from keras import layers

    values = layers.Reshape((start.shape[1], -1), name="rows")(start)
    values = layers.ZeroPadding1D((1, 0), name="answer")(values)
    random = _random(width, seed)
    return layers.EinsumDense(
        "abc,cd->abd", (values.shape[1], width), bias_axes="bd", bias_initializer=random, name="tokens"
    )(values)


def _of_columns(start: Any, columns: Places, width: int, seed: int) -> Any:
    """Features [rows, features] -> tokens [rows, 1 + columns, width], with weights of its own for each column.

    Columns with equally many features share a layer. So the tokens are in the order of these numbers, and `columns_<n>`
    gives the features of each: see pipelines/explaining/attention.py.
    """
    from keras import layers, ops

    sized: dict[int, Places] = defaultdict(list)
    for places in columns:
        sized[len(places)].append(places)
    tokens: list[Any] = []
    for size, alike in sorted(sized.items()):
        taken = ops.take(start, [place for places in alike for place in places], axis=1)
        values = layers.Reshape((len(alike), size), name=f"columns_{size}")(taken)
        if not tokens:
            values = layers.ZeroPadding1D((1, 0), name="answer")(values)
        shape = (values.shape[1], width)
        weights = {
            "kernel_initializer": _random(width, seed + size),
            "bias_initializer": _random(width, seed + 500 + size),
        }
        layer = layers.EinsumDense("abc,bcd->abd", shape, bias_axes="bd", name=f"tokens_{size}", **weights)
        tokens.append(layer(values))
    return layers.Concatenate(axis=1, name="tokens")(tokens) if len(tokens) > 1 else tokens[0]


def _random(width: int, seed: int) -> Any:
    """The distribution that tokens begin with, as Gorishniy et al. have it."""
    from keras import initializers

    edge = width**-0.5
    return initializers.RandomUniform(-edge, edge, seed=seed)


ATTENTION = Architecture(
    "attention", Attention, build, exclusive=("width", "heads", "blocks"), columns=True, problem=problem
)
