"""Stages: what the rest of the project must know about each. Its module declares it as STAGE."""

from dataclasses import dataclass

from pipelines.config.section import Section


@dataclass(frozen=True)
class Stage:
    """A module of `pipelines/` with a `run(model)`, and a block in dvc.yaml."""

    name: str
    """The name of the module, of the block in dvc.yaml, and of the section in a model's YAML."""
    section: type[Section] | None = None
    """The keys of that section; none for a stage without settings."""
    after: str = ""
    """The stage before it; "" for the first."""
    preload: str = ""
    """The libraries that a run imports for it in advance: a key of pipelines/process/fork_server.LIBRARIES."""
    refuses_data: bool = False
    """Whether it may refuse the data. Refused data do not stay pinned."""
    report: str = ""
    """The file of data/<model>/ with the rules that it checked."""
    numeric: bool = False
    """Whether the bytes of its outputs depend on the processor."""
    after_gate: bool = False
    """Whether a run does it after the decision: nothing waits for it."""
