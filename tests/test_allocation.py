"""keep_memory: what is freed is not asked for again."""

import subprocess
import sys

import pytest

import gluonjax

# Without JAX, so that the process starts at once.
PROGRAM = """
import resource
from gluonjax.allocation import keep_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = b'1' * (1 << 26)
    del block
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
before = faults()
print(keep_memory(), keep_memory(), faults() and before, faults())
"""


@pytest.mark.skipif(sys.platform != 'linux', reason='glibc has it')
def test_memory_that_is_freed_is_kept():
    done = subprocess.run([sys.executable, '-c', PROGRAM], capture_output=True, text=True, check=True)
    kept, again, before, after = done.stdout.split()
    if kept == 'False':
        pytest.skip('another malloc')
    assert again == 'True'
    assert int(before) > 30 * int(after)


def test_other_systems(monkeypatch):
    monkeypatch.setattr('sys.platform', 'win32')
    assert gluonjax.keep_memory() is False
