"""The fingerprint of a machine: processor, packages and GPUs. With the inputs they decide a model's last bits.

data/<model>/fingerprint.json (committed beside the pin) records the machine that made the hashes in dvc.lock. Where
the fingerprint is the same, a run gives the same bytes. Elsewhere train and evaluate may differ in the last bits.
"""

import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipelines.hardware import gpus

PACKAGES = ("h5py", "keras", "matplotlib", "numpy", "pandas", "pyarrow", "scikit-learn", "scipy", "tensorflow")
INSTRUCTIONS = ("avx", "fma", "sse4", "amx", "f16c", "asimd", "sve")  # the kinds that numeric libraries choose by


def present() -> dict[str, Any]:
    """The fingerprint of this machine and environment; `gpus` only where some can be used."""
    names = [gpu.name for gpu in gpus.usable(gpus.look())]
    found = {
        "format": 1,
        "machine": platform.machine(),
        "instructions": sorted(flag for flag in _flags() if flag.startswith(INSTRUCTIONS)),
        "packages": {name: version(name) for name in PACKAGES},
    }
    return found | ({"gpus": names} if names else {})


def path(model: str) -> Path:
    return Path("data") / model / "fingerprint.json"


def recorded(model: str) -> dict[str, Any] | None:
    try:
        return dict(json.loads(path(model).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def record(model: str) -> None:
    path(model).write_text(json.dumps(present(), indent=2) + "\n", encoding="utf-8")


def processor() -> str:
    """The processor's name, for people."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _flags() -> list[str]:
    return (_cpuinfo("flags") or _cpuinfo("Features")).split()


def _cpuinfo(key: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == key), "")
