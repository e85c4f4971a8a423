"""The keys of `train:`, and what several replicas make of them."""

from typing import Any

from pydantic import Field, model_validator

from pipelines import visible_text
from pipelines.hardware.device import Hardware
from pipelines.model.networks import Network
from pipelines.model.objective import Objective
from pipelines.training import replicas
from pipelines.training.replicas import Spread


class Train(Network, Objective, Hardware, Spread):
    """The network, and how it is trained."""

    epochs: int = Field(20, ge=1, le=100_000)
    """How often the training passes over all training rows."""
    batch_size: int = Field(32, ge=1)
    """Rows in a batch."""
    split_statistics: bool = False
    """Whether layers that measure their batch, such as batch normalisation, may measure a micro-batch."""
    seed: int = Field(0, ge=0, lt=2**31)
    """The seed of all that is random in the training."""
    tensorboard: bool = False
    """Whether to write `data/<model>/tensorboard/` too."""
    profile: bool = False
    """Whether to write a profile for TensorBoard too."""
    own: dict[str, Any] = {}
    """Values for the function `build` of `models/<model>.py`."""

    @model_validator(mode="after")
    def _parts_fit(self) -> "Train":
        if self.micro_batch and self.batch_size % self.micro_batch:
            raise ValueError(f"`micro_batch` {self.micro_batch} does not divide batch_size {self.batch_size}")
        return self


def scaled(config: Train) -> Train:
    """The config with batch and learning rate changed by `scale`. config: resolved."""
    count = int(config.devices) * config.workers
    batch, rate = replicas.scaled(config.scale, count, config.batch_size, config.learning_rate)
    if count > 1:
        visible_text.note(
            f"{count} replicas share batches of {batch} rows, at the learning rate {rate:g} (scale: {config.scale})"
        )
    return config.model_copy(update={"batch_size": batch, "learning_rate": rate})
