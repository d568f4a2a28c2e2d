"""Settings of the whole process."""

from __future__ import annotations

import subprocess
import sys

import pytest

HOLES = """
import sys
from pathlib import Path
from codesign.training.evaluate import each_on_a_core
from codesign.training.process import FreedMemory, keep_freed_memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

def measure(number):
    size = 2**20 + 2**17 * number
    large = b"x" * size  # no hole of an earlier one is large enough
    pin = bytearray(size)  # so is behind it, and what stays of it keeps the holes apart
    del pin[1000:]
    pins.append(pin)
    return len(large)

if sys.argv[1] == "unbounded":
    FreedMemory.bound = lambda _: None
keep_freed_memory()
pins, before = [], resident()
for batch in range(10):
    each_on_a_core(measure, range(10 * batch, 10 * batch + 10))
print((resident() - before) // 2**20)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_what_is_in_memory_does_not_grow_with_what_was_measured() -> None:
    """A hundred measurements that leave holes take what is kept at most and what is in use, not the sum of all."""

    def growth(how: str) -> int:
        done = subprocess.run([sys.executable, "-c", HOLES, how], capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert growth("unbounded") > 600  # MiB: the holes are there
    assert growth("bounded") < 256 + 100
