"""Every stage, in the order of a run. A new module with a STAGE adds one."""

import importlib

from pipelines.config.stage import Stage
from pipelines.process import seal


def found() -> dict[str, Stage]:
    """The stages that modules of `pipelines/` declare, by name. Raises ValueError if a stage before is missing."""
    waiting: dict[str, Stage] = {name: importlib.import_module(f"pipelines.{name}").STAGE for name in seal.stages()}
    ordered: dict[str, Stage] = {}
    while waiting:
        ready = {name: one for name, one in waiting.items() if not one.after or one.after in ordered}
        if not ready:
            raise ValueError(f"there is no stage for {', '.join(waiting)} to come after")
        ordered |= ready
        waiting = {name: one for name, one in waiting.items() if name not in ready}
    return ordered


STAGES = found()
