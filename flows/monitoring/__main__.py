"""python -m flows.monitoring REQUEST: watch one model in a process of its own (flows/run/live_rows/watching.py).

REQUEST is a JSON file with `model` and `now`; the answer is written beside it.
"""

import json
import os
import signal
import sys
from datetime import datetime
from pathlib import Path

from flows.monitoring.watch import watch
from flows.project import environment
from pipelines import model_file
from pipelines.process.lifeline import follow

LONGEST = 1800  # seconds: whatever it waits for, the run that waits for it goes on


def main(path: Path) -> None:
    signal.alarm(LONGEST)
    follow(os.environ.get("RATCHET_LIFELINE"))
    request = json.loads(path.read_text(encoding="utf-8"))
    project = environment.join()
    found = watch(project, model_file.check(request["model"]), datetime.fromisoformat(request["now"]))
    (path.parent / "answer.json").write_text(json.dumps(found.content, allow_nan=False), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
