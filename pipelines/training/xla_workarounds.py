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


def _cross_entropy(labels: Any, logits: Any, name: str | None = None) -> Any:
    """Of class numbers [rows], by one truth value for each class.

    TensorFlow's deterministic form takes each row's probability by its number. The gradient of that puts numbers where
    rows say, which XLA makes deterministic on a GPU by one row after the other: 15 microseconds each.
    """
    import tensorflow as tf

    here = tf.one_hot(labels, logits.shape[-1], True, False, dtype=tf.bool)
    # chosen, not multiplied: a class that a network rules out has the logarithm -inf
    return -tf.reduce_sum(tf.where(here, tf.nn.log_softmax(logits), tf.zeros([], logits.dtype)), -1, name=name)


def _max_pool(
    usual: Any,
    input: Any,
    ksize: Any,
    strides: Any,
    padding: Any,
    data_format: str | None = None,
    name: str | None = None,
) -> Any:
    """Of parts that do not overlap, by a maximum over axes; all else as usual. input: [rows, ..., channels].

    XLA has no deterministic gradient of the usual form, and would compile no network with it. Where several values are
    the largest, all of them share in the gradient.
    """
    import tensorflow as tf

    sides = tuple(input.shape[1:-1])
    parts = _for_each(ksize, sides)
    known = padding == "VALID" and (data_format or "NC").endswith("C") and None not in sides
    counts = [side // part for side, part in zip(sides, parts, strict=True)] if known and parts else []
    if not counts or not all(counts) or parts != _for_each(strides, sides):
        return usual(input, ksize, strides, padding, data_format, name)
    kept = [slice(count * part) for count, part in zip(counts, parts, strict=True)]  # the rest fills no part
    shape = [number for pair in zip(counts, parts, strict=True) for number in pair]
    split = tf.reshape(input[(slice(None), *kept)], [-1, *shape, input.shape[-1]])
    return tf.reduce_max(split, range(2, 2 * len(sides) + 1, 2), name=name)


def _for_each(sizes: Any, sides: tuple[Any, ...]) -> tuple[int, ...]:
    """One number for each side, as Keras says it; none for other ways of TensorFlow to say it."""
    found = (sizes,) * len(sides) if isinstance(sizes, int) else tuple(sizes)
    return found if len(found) == len(sides) and all(isinstance(size, int) for size in found) else ()
