"""Energy: the watt-hours of this machine while a run's stages work, measured by codecarbon if it is installed.

codecarbon computes emissions. Here it only measures energy: all that would write, print or send is off, even if the
user configured it. A country is set only to keep it from asking the network for one. Its methods depend on the machine,
from a counter of the processor (RAPL) to a guess, so every figure comes with its method.
"""

import logging
import tempfile
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from pipelines.hardware import fingerprint

EVERY = 15.0  # seconds between two readings of the counters; the load of the processor is looked at every second
OFFLINE: dict[str, Any] = {
    "country_iso_code": "SWE",
    "output_methods": [],
    "output_handlers": [],
    "emissions_endpoint": None,
    "electricitymaps_api_token": "",  # with None it looks for one elsewhere
    "cloud_provider": None,
    "region": None,
    "allow_multiple_runs": True,  # else it keeps a lock file for all of the machine
    "tracking_mode": "machine",  # the stages are other processes
    "log_level": "critical",
    "output_dir": tempfile.gettempdir(),
    "measure_power_secs": EVERY,
}
PROCESSOR = {  # its modes of codecarbon
    "intel_rapl": "counter (RAPL)",
    "windows_emi": "counter (Windows EMI)",
    "intel_power_gadget": "counter (Intel Power Gadget)",
    "cpu_load": "estimate from its load and {watts} W",
    "constant": "estimate, half of {watts} W",
}


@dataclass(frozen=True)
class Energy:
    watt_hours: float
    seconds: float  # for which it was measured
    method: str

    def __add__(self, other: "Energy") -> "Energy":
        return Energy(self.watt_hours + other.watt_hours, self.seconds + other.seconds, other.method)


class Meter:
    """Measures until `end`. Its threads end with the process."""

    def __init__(self, tracker: Any):
        self._tracker = tracker

    def end(self) -> Energy | None:
        """None if codecarbon could not measure."""
        self._tracker.stop()
        found = getattr(self._tracker, "final_emissions_data", None)
        if found is None:
            return None
        return Energy(1000 * found.energy_consumed, found.duration, _method(self._tracker))


def begin() -> Meter | None:
    """None without codecarbon, which is in the extra `energy`."""
    try:
        import codecarbon
    except ImportError:
        return None
    logging.getLogger("codecarbon").setLevel(logging.CRITICAL)  # before it has read its own level
    tracker = codecarbon.OfflineEmissionsTracker(**OFFLINE)
    # to learn the processor's name py-cpuinfo times it for a second in a process of its own
    with patch("cpuinfo.get_cpu_info", lambda: {"brand_raw": fingerprint.processor()}):
        tracker.start()
    return Meter(tracker)


def _method(tracker: Any) -> str:
    """Such as "processor: counter (RAPL); GPU: counter (NVML); memory: estimate, 20 W; codecarbon 3.3.2"."""
    found: dict[str, str] = {}
    for part in sorted(tracker._hardware, key=lambda part: type(part).__name__ == "RAM"):
        kind = type(part).__name__
        if kind == "CPU":
            found["processor"] = PROCESSOR.get(part._mode, part._mode).format(watts=part._tdp)
        elif kind == "RAM":
            found["memory"] = f"estimate, {part.total_power().W:.0f} W"
        elif kind == "GPU":
            found["GPU"] = "counter (NVML)" if _nvidia(part) else "counter (AMD SMI)"
        else:
            found[getattr(part, "chip_part", kind)] = kind
    told = [f"{name}: {way}" for name, way in found.items()]
    return "; ".join([*told, f"codecarbon {tracker._conf['codecarbon_version']}"])


def _nvidia(part: Any) -> bool:
    return any("nvidia" in type(device).__name__.lower() for device in part.devices.devices)
