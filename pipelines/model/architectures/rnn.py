"""Recurrent layers, which read an image row by row and a window step by step, before the dense layers."""

from typing import Any, Literal

from pipelines.model.architecture import Architecture, Layers, dense


class Rnn(Layers):
    recurrent: list[int] = []
    """Units of each recurrent layer. It reads an image row by row, a window step by step. Only for `rnn`."""
    cell: Literal["lstm", "gru", "simple"] = "lstm"
    """The kind of recurrent layer."""


def build(config: Rnn, start: Any, seed: int) -> Any:
    from keras import layers

    kind = {"lstm": layers.LSTM, "gru": layers.GRU, "simple": layers.SimpleRNN}[config.cell]
    values = layers.Reshape((start.shape[1], -1), name="rows")(start)
    for index, units in enumerate(config.recurrent):
        more = index + 1 < len(config.recurrent)
        values = kind(units, return_sequences=more, name=f"recurrent_{index}")(values)
    return dense(config, values, seed)


RNN = Architecture("rnn", Rnn, build, layers="recurrent", exclusive=("recurrent",), grid=True)
