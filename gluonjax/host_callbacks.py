"""Errors of Python functions that compiled programs call back: `jax.pure_callback`, `io_callback`, `debug.callback`.

JAX raises an error of its own for them, with the traceback of the function's error as text.
"""

from __future__ import annotations

import os
import re

import jax

from gluonjax.errors import CallbackError

_HEAD = 'Traceback (most recent call last):'
_FRAME = re.compile(r'  File "(?P<file>.*)", line (?P<line>\d+), in (?P<function>.*)')
_OF_JAX = os.path.dirname(jax.__file__)


def check_callback(error: Exception) -> None:
    """Says what error a function that was called back had, if that is why a compiled program failed.

    Raises:
        CallbackError: with the text of that error, and where it arose.

    >>> check_callback(ValueError('''INTERNAL: CpuCallback error calling callback: Traceback (most recent call last):
    ...   File "sensors.py", line 12, in read
    ... OSError: the sensor is off'''))
    Traceback (most recent call last):
    ...
    gluonjax.errors.CallbackError: a function that a compiled program called back failed
      got: OSError: the sensor is off
      in read, line 12 of sensors.py
    """
    text = str(error)
    if _HEAD not in text or 'allback error' not in text.partition(_HEAD)[0]:
        return
    lines = text.partition(_HEAD)[2].strip('\n').splitlines()
    frames = [(i, frame) for i, line in enumerate(lines) if (frame := _FRAME.fullmatch(line))]
    if not frames:
        return
    first = frames[-1][0] + 1
    while first < len(lines) and lines[first].startswith('    '):  # the code of that line
        first += 1
    failed = CallbackError('a function that a compiled program called back failed', got='\n'.join(lines[first:]))
    outside = [frame for _, frame in frames if not frame['file'].startswith(_OF_JAX)]
    where = outside[-1] if outside else frames[-1][1]
    failed.locate(f'in {where["function"]}, line {where["line"]} of {where["file"]}')
    raise failed from error
