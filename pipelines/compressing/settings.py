"""The keys of `compress:`. Few imports: every run of a model reads them, and most models ask for no variant."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import Field, field_validator, model_validator

from pipelines.config.section import Section

if TYPE_CHECKING:
    from pipelines.fitting.settings import Train

PRUNED, DISTILLED = "pruned", "distilled"
SIZES = ("hidden", "filters", "recurrent")  # keys of `train:` with the sizes of layers
Kind = Literal["int8", "float16"]  # of the weights of an ONNX file


class Distill(Section):
    """A smaller network, with the sizes that are named here in the place of those of `train:`, which learns from the
    model's answers and from the labels. Beside it the same network is trained from the labels alone."""

    hidden: list[Annotated[int, Field(ge=1)]] | None = None
    """Units of each dense layer."""
    filters: list[Annotated[int, Field(ge=1)]] | None = None
    """Filters of each convolution. Only for `cnn`."""
    recurrent: list[Annotated[int, Field(ge=1)]] | None = None
    """Units of each recurrent layer. Only for `rnn`."""
    temperature: float = Field(2.0, ge=1)
    """The probabilities of both are made so much softer before they are compared. Not for a regression."""
    weight: float = Field(0.5, gt=0, le=1)
    """The share of the model's answers in what is learned. The labels have the rest."""

    @property
    def sizes(self) -> dict[str, list[int]]:
        """The keys of `train:` that are named."""
        return {key: getattr(self, key) for key in SIZES if getattr(self, key) is not None}

    @model_validator(mode="after")
    def _names_a_size(self) -> "Distill":
        if not self.sizes:
            raise ValueError("name a size of the smaller network, such as `hidden: [16]`")
        return self


class Compress(Section):
    """Smaller variants of the model, which may answer in its place if the gate accepts them
    (docs/guides/small-models.md). The section may be absent: then there are none."""

    quantize: list[Kind] = []
    """Store the weights in fewer bits: `int8`, `float16`, or `[int8, float16]` for both."""
    prune: float | None = Field(None, gt=0, lt=1)
    """Cut this share of the units out of every layer, the weakest first, and train what is left once more."""
    distill: Distill | None = None
    """Train a smaller network by the answers of the model."""
    smaller: float = Field(1.5, ge=1)
    """How many times smaller a variant has to be than the model in what a server loads, or else `faster`."""
    faster: float | None = Field(None, gt=1)
    """How many times faster a variant may be on one row instead."""

    @field_validator("quantize", mode="before")
    @classmethod
    def _kinds(cls, found: Any) -> Any:
        """One kind may stand alone."""
        words = [found] if isinstance(found, str) else found
        for word in words if isinstance(words, list) else [words]:
            if word not in get_args(Kind):
                raise ValueError(f"weights cannot be stored as {word!r}: write int8, float16 or [int8, float16]")
        if len(set(words)) < len(words):
            raise ValueError("a kind stands there twice")
        return words

    @property
    def wanted(self) -> list[str]:
        """The names of the variants."""
        trained = [name for name, one in ((PRUNED, self.prune), (DISTILLED, self.distill)) if one]
        return [*self.quantize, *trained]

    def problem(self, train: "Train") -> tuple[str, str] | None:
        """What does not fit the model's training: a key of `compress`, and why."""
        if self.distill is None:
            return None
        chosen = train.architecture
        for key in self.distill.sizes:
            if key != "hidden" and key != chosen.layers:
                return f"distill.{key}", f"`{key}` does not belong to network {chosen.name}"
        for key, sizes in self.distill.sizes.items():
            now = getattr(train, key)
            if len(sizes) > len(now) or any(one > other for one, other in zip(sizes, now, strict=False)):
                return f"distill.{key}", f"{sizes} is larger than train.{key}, which is {now}"
        if all(sizes == getattr(train, key) for key, sizes in self.distill.sizes.items()):
            return "distill", "it names the sizes of train:, and a smaller network has smaller ones"
        return None
