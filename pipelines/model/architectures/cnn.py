"""Convolutions over an image, or over the steps of a window, before the dense layers."""

from typing import Any

from pipelines.model.architecture import Architecture, Layers, dense


class Cnn(Layers):
    filters: list[int] = []
    """Filters of each convolution. Only for `cnn`."""


def build(config: Cnn, start: Any, seed: int) -> Any:
    from keras import layers

    values = start
    for index, count in enumerate(config.filters):
        name = f"convolution_{index}"
        if len(start.shape) == 3:  # steps of a window: half are left, as XLA cannot train a pooling everywhere
            values = layers.Conv1D(count, 3, 2, padding="same", activation=config.activation, name=name)(values)
            continue
        values = layers.Conv2D(count, 3, padding="same", activation=config.activation, name=name)(values)
        if min(values.shape[1:3]) >= 2:
            values = layers.MaxPooling2D(name=f"pooling_{index}")(values)
    return dense(config, values, seed)


CNN = Architecture("cnn", Cnn, build, layers="filters", exclusive=("filters",), grid=True)
