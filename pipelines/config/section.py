"""What all sections of a model's YAML have in common."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """One section: unknown keys, wrong types and impossible values are refused; it cannot be changed.

    The text below a key is its description in docs/reference/model-yaml.md, which `make docs` writes.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )
