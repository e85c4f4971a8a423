"""How many rows were answered, by day. Only the sizes of the files are read, not their rows."""

from collections import Counter
from datetime import UTC, date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from flows.monitoring.looks.look import NOTHING, Look, Seen
from flows.serving.log import layout
from flows.serving.log.layout import Part

DAYS = 14  # that are counted, today included
BLOCK = 1 << 20  # bytes


def there(state: Path, model: str) -> bool:
    """Whether a row of this model was ever answered and kept."""
    folder = state / "answers" / model
    return folder.is_dir() and bool(layout.closed_days(folder) or layout.open_parts(folder))


def look(at: Look) -> Seen:
    """`days`: each with `day` (of UTC, as the log has it) and `rows`; `a_day`: the mean of those that are over and on
    which rows were answered, null without any."""
    if not there(at.project.state, at.model):
        return NOTHING
    last = at.now.astimezone(UTC).date()
    rows = by_day(at.project.state / "answers" / at.model, last - timedelta(days=DAYS - 1), last)
    over = [count for day, count in rows.items() if day < last and count]
    days = [{"day": str(day), "rows": count} for day, count in sorted(rows.items())]
    return Seen({"days": days, "a_day": round(sum(over) / len(over)) if over else None})


def by_day(folder: Path, first: date, last: date) -> Counter[date]:
    """Answered rows of each day that has a file."""
    found: Counter[date] = Counter()
    for part in {*layout.open_parts(folder), *layout.closed_parts(folder)}:
        if first <= part.day <= last:
            found[part.day] += _rows(part)
    return found


def _rows(part: Part) -> int:
    """Lines may be closed meanwhile; a part that is deleted meanwhile has no rows."""
    for path in (part.closed, part.lines, part.closed):
        try:
            return pq.read_metadata(path).num_rows if path == part.closed else _lines(path)
        except FileNotFoundError:
            continue
        except (OSError, pa.ArrowException):
            return 0
    return 0


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(BLOCK), b""))
