"""Whether new rows have reached the training, or how to let them in."""

from typing import Any

from flows.data.last_good import Good
from pipelines.clean import Clean
from pipelines.table.splits import GivenSplit, TimeSplit
from pipelines.table.time_edges import FEWEST_TEST_ROWS


def none_of_them(model: str, before: Good | None, report: dict[str, Any], config: Clean) -> str:
    """What to say of a run whose data have new rows, none of them in the training split; "" for any other run.

    before: the last published version of the data; report: clean.json of this one.
    """
    if before is None or not before.splits or report["data_hash"] == before.data_hash:
        return ""
    now, more = {name: split["hash"] for name, split in report["splits"].items()}, report["rows"]["raw"] - before.rows
    if more <= 0 or now["train"] != before.splits["train"]:
        return ""
    said = f"none of {more:,} new rows reached training" if more > 1 else "the one new row did not reach training"
    if now == before.splits:
        removed = ", ".join(f"{count:,} {why}" for why, count in report["rows"]["removed"].items())
        return f"{said}: they were removed ({removed} in all)"
    return f"{said}: {_why(model, config)}"


def _why(model: str, config: Clean) -> str:
    split, where = config.split, f"models/{model}.yaml"
    if isinstance(split, GivenSplit):
        return f"the column {split.column!r} gives them to another split"
    if not isinstance(split, TimeSplit):
        return "their hashes put them all into validation and test, by chance; more rows will come to training"
    if split.moving:
        return (
            f"they are in the newest windows (validation: {split.validation}, test: {split.test}), which move on with "
            f"the data. Smaller ones in {where}, of at least {FEWEST_TEST_ROWS} test rows, let them in sooner"
        )
    return (
        f"clean.split has fixed instants, so what is new is a test row for ever. In {where} replace "
        f"`validation_from: {split.validation_from}` and `test_from: {split.test_from}` by `validation: 0.1` and "
        "`test: 0.2`: shares of the rows, or spans such as 90d, which move on with the data"
    )
