"""How long a command has taken, as the person waits for it: from its process's start on."""

import os
import time
from pathlib import Path

import psutil

FIELD = 20  # of /proc/<pid>/stat, after the name: the start, in ticks since the machine started


def so_far() -> float:
    """Seconds. psutil counts from a start of the machine that the kernel tells only in whole seconds."""
    if not hasattr(time, "CLOCK_BOOTTIME"):  # not Linux
        return round(time.time() - psutil.Process().create_time(), 2)
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[FIELD - 1])
    return round(time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"), 2)
