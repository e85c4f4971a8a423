"""What the overview shows, as whoever knows the project hands it in: these pages know none of it themselves."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

Overview = Callable[[datetime], Mapping[str, Any]]
"""Of an instant (UTC): `rows`, one for each model, the worst first, each a mapping with the texts of its line
(flows/overview/rows.py); `machine`: what is wrong for all of them; `counted`: how many models have each status;
`at`: an ISO instant; `problem`: why nothing can be shown, or ""."""
