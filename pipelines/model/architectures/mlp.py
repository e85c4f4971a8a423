"""Dense layers alone."""

from typing import Any

from pipelines.model.architecture import Architecture, Layers, dense


class Mlp(Layers):
    wide: bool = False
    """Whether the output layer sees the features too: a linear model beside the hidden layers. Only for `mlp`."""


def build(config: Mlp, start: Any, seed: int) -> Any:
    from keras import layers

    if config.wide and len(start.shape) > 2:
        start = layers.Flatten(name="flat")(start)
    values = dense(config, start, seed)
    return layers.Concatenate(name="wide")([values, start]) if config.wide else values


MLP = Architecture("mlp", Mlp, build, exclusive=("wide",))
