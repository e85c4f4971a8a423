"""Operations that XLA compiles into slow code, or not at all: while a program is traced, others that compute the same.

Everything of Keras' that goes through them is caught, whatever network a project brings. Source of the figures:
benchmarks/gpu.py on one NVIDIA H200, 2026-11-26, and a processor of two cores for dropout.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch


@contextmanager
def for_xla() -> Iterator[None]:
    """While the block runs: dropout, cross-entropy and max-pooling in the form that suits XLA.

    Keras names no generator for dropout, and for `none` XLA's code takes seven times as long on a CPU: it is named, the
    one that TensorFlow uses anyway.
    """
    import tensorflow as tf

    dropout = partial(tf.nn.experimental.stateless_dropout, rng_alg="philox")
    max_pool = partial(_max_pool, tf.nn.max_pool)
    with (
        patch.object(tf.nn.experimental, "stateless_dropout", dropout),
        patch.object(tf.nn, "sparse_softmax_cross_entropy_with_logits", _cross_entropy),
        patch.object(tf.nn, "max_pool", max_pool),
    ):
        yield


def _cross_entropy(labels: Any, logits: Any) -> Any:
    """Of class numbers [rows], by one number for each class.

    TensorFlow's deterministic form takes each row's probability by its number. The gradient of that puts numbers where
    rows say, which XLA makes deterministic on a GPU by one row after the other: 15 microseconds each.
    """
    import tensorflow as tf

    return tf.nn.softmax_cross_entropy_with_logits(tf.one_hot(labels, logits.shape[-1], dtype=logits.dtype), logits)


def _max_pool(usual: Any, values: Any, size: Any, strides: Any, padding: str, data_format: str) -> Any:
    """Of parts that do not overlap, by a maximum over axes; others as usual. values: [rows, ..., channels].

    XLA has no deterministic gradient of the usual form, and would compile no network with it. Where several values are
    the largest, all of them share in the gradient.
    """
    import tensorflow as tf

    sides = values.shape[1:-1]
    parts, steps = ([each] * len(sides) if isinstance(each, int) else list(each) for each in (size, strides))
    if parts != steps or padding != "VALID" or None in sides:
        return usual(values, size, strides, padding, data_format)
    counts = [side // part for side, part in zip(sides, parts, strict=True)]
    kept = [slice(count * part) for count, part in zip(counts, parts, strict=True)]  # the rest fills no part
    shape = [number for pair in zip(counts, parts, strict=True) for number in pair]
    split = tf.reshape(values[(slice(None), *kept)], [-1, *shape, values.shape[-1]])
    return tf.reduce_max(split, range(2, 2 * len(sides) + 1, 2))
