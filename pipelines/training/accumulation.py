"""Accumulation: one step of training whose batch is taken in parts, one after the other or side by side.

The gradients of the parts, each weighted by its share of the rows, are added up and applied once. Within rounding that
is the step of the whole batch, for any loss that is a mean over rows. So a batch that does not fit into memory can be
taken in micro-batches, and a batch can be shared among replicas (replicas.py). Two things belong to a part alone: the
masks of dropout, which are others of the same kind, and what a layer measures of its batch (`measuring` names those).
"""

from collections.abc import Callable
from typing import Any

Step = Callable[..., dict[str, Any]]


def training(model: Any, micro: int) -> Step:
    """As model.train_step, `micro` rows at a time: step(columns, total) -> {"loss": this share's part of the loss}.

    columns: features, target and maybe weights of the rows at hand. total: rows of the whole batch, if these are but a
    share of it, or none of it.
    """
    import tensorflow as tf

    weights = model.trainable_weights

    def step(columns: tuple[Any, ...], total: Any = None) -> dict[str, Any]:
        known = columns[0].shape[0]
        even = known is not None and known % micro == 0  # XLA compiles nothing but parts of one size
        here = known if even else tf.shape(columns[0])[0]
        whole = tf.cast(here if total is None else total, tf.float32)

        def part(start: Any, loss: Any, *sums: Any) -> tuple[Any, ...]:
            size = micro if even else tf.minimum(micro, here - start)
            x, y, *weight = (tf.slice(c, [start, *[0] * (len(c.shape) - 1)], [size, *c.shape[1:]]) for c in columns)
            with tf.GradientTape() as tape:
                answer = model(x, training=True)
                mean = _mean(model, x, y, answer, weight, training=True)
                mine = mean * (tf.cast(size, tf.float32) / whole)
                scaled = model.optimizer.scale_loss(mine)
            _measure(model, x, y, answer, weight, mean, size)
            found = tape.gradient(scaled, weights)
            more = [0.0 if gradient is None else tf.convert_to_tensor(gradient) for gradient in found]
            return start + micro, loss + mine, *(before + after for before, after in zip(sums, more, strict=True))

        none = [tf.zeros(weight.shape, weight.dtype) for weight in weights]
        _, loss, *sums = tf.while_loop(lambda start, *_: start < here, part, (0, tf.constant(0.0), *none))
        model.optimizer.apply_gradients(zip(sums, weights, strict=True))
        return {"loss": loss}

    return step


def testing(model: Any) -> Step:
    """As model.test_step: step(columns, total), where there may be no rows at hand."""
    import tensorflow as tf

    def step(columns: tuple[Any, ...], total: Any) -> dict[str, Any]:
        x, y, *weight = columns
        size = tf.shape(x)[0]
        answer = model(x, training=False)
        mean = tf.where(size > 0, _mean(model, x, y, answer, weight, training=False), 0.0)
        _measure(model, x, y, answer, weight, mean, size)
        return {"loss": mean * tf.cast(size, tf.float32) / tf.cast(total, tf.float32)}

    return step


def _mean(model: Any, x: Any, y: Any, answer: Any, weight: list[Any], training: bool) -> Any:
    """The mean loss of these rows. Keras divides it by the replicas, as if each had the same number of rows."""
    import tensorflow as tf

    loss = model.compute_loss(x=x, y=y, y_pred=answer, sample_weight=weight[0] if weight else None, training=training)
    return loss * float(tf.distribute.get_strategy().num_replicas_in_sync)


def _measure(model: Any, x: Any, y: Any, answer: Any, weight: list[Any], mean: Any, size: Any) -> None:
    """Count these rows in Keras' metrics, the loss among them."""
    model.metrics[0].update_state(mean, sample_weight=size)
    model.compute_metrics(x, y, answer, sample_weight=weight[0] if weight else None)


def measuring(model: Any) -> list[str]:
    """The layers that measure their batch while they train: in parts, they would measure something else."""
    import keras

    kinds = (keras.layers.BatchNormalization,)
    return [layer.name for layer in model._flatten_layers() if isinstance(layer, kinds)]
