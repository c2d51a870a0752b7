"""`mx.profiler` by `jax.profiler`: traces that TensorBoard and Perfetto show.

What programs mark themselves is written into the file that they name, as MXNet does; so are operations of arrays, one
by one, with `aggregate_stats=True`, where each is waited for.

>>> set_config(filename='profile.json', profile_all=True)
>>> with Task(Domain('steps'), 'step'):
...     pass
"""

from __future__ import annotations

import json
import pathlib
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import jax

from gluonjax import checks
from gluonjax.errors import ArgumentError
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.tape import OBSERVERS

_config: dict[str, Any] = {'filename': 'profile.json'}
_running = [False]
_seconds: dict[str, dict[str, list[float]]] = {}  # of tasks and operators, by their groups
_events: list[dict[str, Any]] = []  # of the file, as Chrome's traces have them


def set_config(**kwargs: Any) -> None:
    """Where traces go: `filename`, and beside it a directory of its stem, where what MXNet profiles by choice is all.

    Args:
        **kwargs: those of MXNet; with `aggregate_stats=True` operations of arrays are waited for, and counted.
    """
    _config.update(kwargs)


def set_state(state: str = 'stop', profile_process: str = 'worker') -> None:
    """Starts ('run') or ends ('stop') a trace.

    Raises:
        ArgumentError: for another state.
    """
    if state not in ('run', 'stop'):
        raise ArgumentError("the state of the profiler is 'run' or 'stop'", got=repr(state))
    if (state == 'run') == _running[0]:
        return
    if state == 'run':
        jax.profiler.start_trace(str(pathlib.Path(_config['filename']).with_suffix('')))
        if _config.get('aggregate_stats'):
            OBSERVERS.append(_note_operator)
    else:
        jax.profiler.stop_trace()
        OBSERVERS[:] = [observer for observer in OBSERVERS if observer is not _note_operator]
    _running[0] = state == 'run'


def pause(profile_process: str = 'worker') -> None:
    """Ends the trace."""
    set_state('stop')


def resume(profile_process: str = 'worker') -> None:
    """Starts a trace."""
    set_state('run')


def dump(finished: bool = True, profile_process: str = 'worker') -> None:
    """Writes the file and the trace, and ends it; without `finished` another begins if one was running."""
    running = _running[0]
    pathlib.Path(_config['filename']).write_text(json.dumps({'traceEvents': _events, 'displayTimeUnit': 'ms'}))
    if finished:
        _events.clear()
    set_state('stop')
    if running and not finished:
        set_state('run')


def dumps(reset: bool = False, format: str = 'table', sort_by: str = 'total', ascending: bool = False) -> str:
    """How long tasks, frames, events and operators took, in milliseconds: a table, or JSON.

    Args:
        reset: whether they are forgotten then.
        format: 'table' or 'json'.
        sort_by: 'total', 'avg', 'min', 'max' or 'count'.
        ascending: the order.

    Raises:
        ArgumentError: for another format or order.
    """
    column = checks.one_of('sort_by', sort_by, ('total', 'avg', 'min', 'max', 'count')).capitalize()
    groups: dict[str, dict[str, dict[str, float]]] = {}
    for domain, tasks in _seconds.items():
        rows = {name: _statistics(spent) for name, spent in tasks.items()}
        groups[domain] = dict(sorted(rows.items(), key=lambda row: row[1][column], reverse=not ascending))
    if reset:
        _seconds.clear()
    if checks.one_of('format', format, ('table', 'json')) == 'json':
        return json.dumps({'Time': groups, 'Memory': {}, 'Unit': {'Time': 'ms', 'Memory': 'kB'}})
    lines = [f'traces of jax.profiler: {pathlib.Path(_config["filename"]).with_suffix("")}']
    for domain, rows in groups.items():
        lines += [domain, *(f'    {name}: {values}' for name, values in rows.items())]
    return '\n'.join(lines)


def _note(group: str, name: str, began: float, ended: float) -> None:
    _seconds.setdefault(group, {}).setdefault(name, []).append(ended - began)
    if _running[0]:
        times = {'ts': 1e6 * began, 'dur': 1e6 * (ended - began)}
        _events.append({'name': name, 'cat': group, 'ph': 'X', **times, 'pid': 0})


def _note_operator(name: str, began: float, ended: float) -> None:
    _note('operator', name, began, ended)


def _statistics(spent: Sequence[float]) -> dict[str, float]:
    milliseconds = [1e3 * seconds for seconds in spent]
    total = sum(milliseconds)
    least, most = min(milliseconds), max(milliseconds)
    return {'Count': len(spent), 'Total': total, 'Min': least, 'Max': most, 'Avg': total / len(spent)}


class Domain:
    """Groups what is marked.

    Args:
        name: its name.
    """

    def __init__(self, name: str):
        self.name: str = name

    def __str__(self) -> str:
        return self.name

    def new_task(self, name: str) -> Task:
        """A task of it."""
        return Task(self, name)

    def new_frame(self, name: str) -> Task:
        """A frame of it."""
        return Frame(self, name)

    def new_counter(self, name: str, value: float | None = None) -> Counter:
        """A counter of it."""
        return Counter(self, name, value)

    def new_marker(self, name: str) -> Marker:
        """A marker of it."""
        return Marker(self, name)


class Task:
    """What is marked in the trace from `start` to `stop`, or by a `with` block; `dumps` says how long it took.

    Args:
        domain: its group; of an event its name.
        name: its name in the trace.
    """

    def __init__(self, domain: Any, name: str = ''):
        self.name: str = name or str(domain)
        self._group = str(domain) if name else 'event'
        self._marks: list[tuple[Any, float]] = []

    def start(self) -> None:
        """Begins."""
        mark = jax.profiler.TraceAnnotation(self.name)
        mark.__enter__()
        self._marks.append((mark, time.perf_counter()))

    def stop(self) -> None:
        """Ends what began last."""
        if self._marks:
            mark, began = self._marks.pop()
            mark.__exit__(None, None, None)
            _note(self._group, self.name, began, time.perf_counter())

    def __enter__(self) -> Task:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


Frame = Event = scope = Task


class Counter:
    """A number that programs count with.

    Args:
        domain: its group.
        name: its name.
        value: where it begins.

    >>> counter = Counter(Domain('steps'), 'samples', 5)
    >>> counter += 1
    >>> counter.increment(2)
    >>> counter.value
    8
    """

    def __init__(self, domain: Any, name: str, value: float | None = None):
        self.name: str = name
        self.value: float = value or 0

    def set_value(self, value: float) -> None:
        """Sets it."""
        self.value = value

    def increment(self, delta: float = 1) -> None:
        """Adds to it."""
        self.value += delta

    def decrement(self, delta: float = 1) -> None:
        """Subtracts from it."""
        self.value -= delta

    def __iadd__(self, delta: float) -> Self:
        self.increment(delta)
        return self

    def __isub__(self, delta: float) -> Self:
        self.decrement(delta)
        return self

    def __str__(self) -> str:
        return self.name


class Marker:
    """A moment in the trace.

    Args:
        domain: its group.
        name: its name.
    """

    def __init__(self, domain: Any, name: str):
        self.name: str = name

    def mark(self, scope: str = 'process') -> None:
        """Marks now."""
        if _running[0]:
            _events.append({'name': self.name, 'ph': 'i', 'ts': 1e6 * time.perf_counter(), 'pid': 0, 's': scope[0]})
        with jax.profiler.TraceAnnotation(self.name):
            pass


def profiler_set_config(mode: str = 'symbolic', filename: str = 'profile.json') -> None:
    """As `set_config(filename=...)`."""
    set_config(filename=filename)


profiler_set_state = set_state


def dump_profile() -> None:
    """As `dump()`."""
    dump()


explain_calls(globals())
