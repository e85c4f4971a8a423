"""What has a cause that a person can do something about is told as such, and nothing else is."""

from typing import Any

import pytest

from pipelines.errors import TrainingError, UnreachableError
from pipelines.training import tensorflow_errors

pytestmark = pytest.mark.usefixtures("hardware")


def of(kind: str, text: str) -> Any:
    """An error of TensorFlow's."""
    import tensorflow as tf

    return getattr(tf.errors, kind)(None, None, text)


def test_an_operation_that_has_no_deterministic_form_is_named():
    error = of("UnimplementedError", "A deterministic GPU implementation of op X is not available.")
    with pytest.raises(TrainingError, match=r"no deterministic form .*of op X.* `train: deterministic: false`"):
        tell(error)


def test_a_worker_that_is_gone_is_told_and_the_same_may_work_later():
    error = of("UnavailableError", "Connection reset by peer")
    with pytest.raises(
        UnreachableError, match=r"cannot be reached any more: Connection reset.* Start all workers again"
    ):
        tell(error)


@pytest.mark.parametrize(("kind", "text"), [("InvalidArgumentError", "a label of 12"), ("UnimplementedError", "no")])
def test_other_failures_stay_what_they_are(kind, text):
    error = of(kind, text)
    with pytest.raises(type(error), match=text):
        tell(error)


def tell(error: BaseException) -> None:
    with tensorflow_errors.told():
        raise error
