"""`mx.monitor`: statistics of what is inside a network, while it is trained."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable
from typing import Any

from gluonjax import checks
from gluonjax.mx.array import NDArray, call
from gluonjax.mx.entry import explain_calls


def _size_of_elements(x: NDArray) -> Any:
    return call('norm', x) / math.sqrt(x.size)


class Monitor:
    """Shows a statistic of outputs inside a network, and of its parameters, every so many batches.

    Outputs of a pass are computed once more for it. What MXNet shows of the backward pass, it does not show.

    Args:
        interval: every how many batches.
        stat_func: from an array to an array, or a list; by default the norm by the root of the size.
        pattern: matches the names of what is shown.
        sort: whether by name.
        monitor_all: whether the inputs of operators are shown too.
    """

    def __init__(
        self,
        interval: int,
        stat_func: Callable[[NDArray], Any] | None = None,
        pattern: str = '.*',
        sort: bool = False,
        monitor_all: bool = False,
    ):
        self.interval: int = checks.size('interval', interval)
        self.stat_func: Callable[[NDArray], Any] = stat_func or _size_of_elements
        self.sort: bool = sort
        self.monitor_all: bool = monitor_all
        self.step: int = 0
        self.activated: bool = False
        self.queue: list[tuple[int, str, Any]] = []
        self.exes: list[Any] = []
        self._pattern = re.compile(pattern)

    def install(self, exe: Any) -> None:
        """Has it look at an executor."""
        self.exes.append(exe)
        if self.activated:
            exe.set_monitor_callback(self._take, self.monitor_all)

    def _take(self, name: str, array: NDArray) -> None:
        if self._pattern.match(name):
            self.queue.append((self.step, name, self.stat_func(array)))

    def tic(self) -> None:
        """Begins to look, if it is time for that; called before a pass."""
        if self.step % self.interval == 0:
            self.queue, self.activated = [], True
            for exe in self.exes:
                exe.set_monitor_callback(self._take, self.monitor_all)
        self.step += 1

    def toc(self) -> list[tuple[int, str, str]]:
        """Ends to look: the number of the batch, the name and the statistic of all that was seen."""
        if not self.activated:
            return []
        self.activated = False
        for exe in self.exes:
            exe.set_monitor_callback(None)
            for name, array in (*exe.arg_dict.items(), *exe.aux_dict.items()):
                self._take(name, array)
        if self.sort:
            self.queue.sort(key=lambda entry: entry[1])
        found = [(step, name, _text(value)) for step, name, value in self.queue]
        self.queue = []
        return found

    def toc_print(self) -> None:
        """Logs what `toc` gives."""
        for step, name, text in self.toc():
            logging.info(f'Batch: {step:7d} {name:30s} {text:s}')


def _text(value: Any) -> str:
    values = value if isinstance(value, list) else [value]
    return ''.join(f'{v.asscalar() if v.shape == (1,) else v.asnumpy()}\t' for v in values)


explain_calls(globals())
