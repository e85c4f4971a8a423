"""An answer: what a model says of one row. A new kind of answer is a new field with a default."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one row."""

    prediction: str | int | float
    """The class, or of a regression the number."""
    probabilities: dict[str, float] = field(default_factory=dict)
    """Of each class, by its text; {} for a regression."""
    unknown: tuple[str, ...] = ()
    """The columns whose word the model has never seen. It took such a cell for an empty one."""
    time: str = ""
    """Of a forecast: the instant that it is for, as ISO text in UTC."""
