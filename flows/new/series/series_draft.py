"""The sections of a new model's YAML for rows that are time series (flows/new/series finds out whether they are)."""

import math
import re
from dataclasses import dataclass, field
from typing import Any

from flows.new import column_types, recipe
from flows.new.draft import Draft, moving, rounded
from flows.new.series.readings import Grid
from flows.new.yaml_comments import Said


@dataclass(frozen=True)
class SeriesDraft(Draft):
    grid: Grid = field(kw_only=True)
    horizon: int = 1

    def data(self) -> dict[str, Any]:
        grid, plain = self.grid, super().data()
        columns = plain["columns"]
        if grid.parts:
            columns = {grid.time: Said("date", f"made of {', '.join(grid.parts)}")} | columns
        many = f"{len(set(grid.steps.codes)):,} series"
        series = {"series": Said(grid.series, f"each has a series of its own: {many}")} if grid.series else {}
        others = "".join(f"; instead {other}" for other in grid.others)
        seasons = {"seasons": Said(grid.seasons, f"steps of {grid.steps.one}")} if grid.seasons else {}
        return {
            "kind": Said("sequence", f"{grid.told}, {grid.best.told}{others}"),
            "task": plain["task"],
            "target": plain["target"],
            "time": grid.time,
            **series,
            "step": Said(grid.step, self._about_step()),
            "window": Said(grid.window, "rows that a forecast sees"),
            "horizon": Said(self.horizon, "rows ahead (--horizon)"),
            **seasons,
            "baseline": Said(grid.best.baseline, self._about_baseline()),
            "columns": columns,
        }

    def _about_step(self) -> str:
        found = self.grid.steps
        unit = "" if isinstance(found.step, str) else "seconds, "
        widest = f", the most from {' to '.join(found.widest)}"
        lacking = f"; {found.gaps:,} steps between first and last have no row{widest}" if found.gaps else ""
        return f"{unit}{found.share:.1%} of the rows follow {found.one} after the one before{lacking}"

    def _about_baseline(self) -> str:
        told = [one.told for one in self.grid.forecasts]
        return f"a forecast without a model; on the last {recipe.TEST:.0%} of the rows {', '.join(told)}"

    def ingest(self) -> dict[str, Any]:
        found, grid = super().ingest(), self.grid
        if not grid.parts:
            return found
        made = Said(grid.parts, "joined, and read as `dates` says" if grid.form else "parts of an instant, as numbers")
        others = found.pop("instants", {})
        found = {"source": found.pop("source"), "instants": others | {grid.time: made}} | found
        if grid.form:
            found["dates"] = found.get("dates", {}) | {grid.time: grid.form}
        found["timezone"] = Said("UTC", "of instants that do not say theirs")
        return found

    def _about_target(self) -> list[Said]:
        return super()._about_target()[1:]  # a row without a target still is the past of others

    def quarantine(self) -> dict[str, Said]:
        return {}

    def split(self) -> Said:
        return Said(moving(self.grid.time), "shares of the rows, the newest for the test: they move on with the data")

    def train(self) -> dict[str, Any]:
        return recipe.sequence(self.rows)

    def promote(self) -> dict[str, Any]:
        test = self.found.rows["test"] if self.found else self.rows // 5
        floor = self.grid.floor
        return {
            "metric": "mean_absolute_error",
            "at_most": Said(_up(floor.error), f"{floor.told} on the last {recipe.TEST:.0%} of the rows: no model"),
            "margin": Said(rounded(0.45 * floor.error / test**0.5), f"what {test:,} test rows can tell apart"),
        }


def usable(column: column_types.Column, grid: Grid, target: str) -> column_types.Column:
    """The column, left out if it is a second date, or has the name of what was known of the target before."""
    if re.fullmatch(rf"{re.escape(target)}_\d+_before", column.name):
        return column_types.left_out(column, "its name has a meaning of its own here")
    if column.role == "date" and column.name != grid.time:
        return column_types.left_out(column, f"a series has one time, here {grid.time}")
    return column


def _up(value: float) -> float:
    """To three significant digits, not below the value."""
    if not value:
        return value
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 2)
    return float(f"{math.ceil(value / unit - 1e-9) * unit:.6g}")
