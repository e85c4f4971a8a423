"""The answering process is light: it loads no library that it does not need, and takes little memory."""

import json
import subprocess
import sys

from tests.support.clone import environment
from tests.support.served import versions
from tests.support.world import ROOT

HEAVY = ["dvc", "great_expectations", "mlflow", "pandas", "prefect", "pyarrow", "pydantic", "sklearn", "tensorflow"]
MOST_MEGABYTES = 250
CODE = """
import asyncio, json, sys
from pathlib import Path
import flows.serving.http.app
from flows.serving.engine.live import Served

async def answered():
    served = Served(Path(sys.argv[1]))
    await served.start()
    for live in served.models.values():
        rows = json.loads((live.version.folder / "examples.json").read_text())["rows"]
        await live.answer(rows)
    await served.close()
    return sorted(served.models)

models = asyncio.run(answered())
status = Path("/proc/self/status").read_text()  # of the program alone: getrusage counts the process it began as, too
peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
print(json.dumps([models, sorted(name for name in sys.modules if "." not in name), peak]))
"""


def test_a_process_that_answers_loads_no_heavy_library(tmp_path):
    for model in versions.MODELS:
        versions.promote(tmp_path, model)
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path)], cwd=ROOT, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    models, modules, megabytes = json.loads(done.stdout)
    assert models == sorted(versions.MODELS)
    assert sorted(set(modules) & set(HEAVY)) == []
    assert megabytes < MOST_MEGABYTES, megabytes
