"""`mx.profiler` by `jax.profiler`: traces that TensorBoard and Perfetto show.

>>> set_config(filename='profile.json', profile_all=True)
>>> with Task(Domain('steps'), 'step'):
...     pass
"""

import pathlib
from types import TracebackType
from typing import Any

import jax

from gluonjax.errors import ArgumentError

_config: dict[str, Any] = {'filename': 'profile.json'}
_running = [False]


def set_config(**kwargs: Any) -> None:
    """Where traces go: beside `filename`, in a directory of its stem. What MXNet profiles by choice is all there."""
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
    else:
        jax.profiler.stop_trace()
    _running[0] = state == 'run'


def pause(profile_process: str = 'worker') -> None:
    """Ends the trace."""
    set_state('stop')


def resume(profile_process: str = 'worker') -> None:
    """Starts a trace."""
    set_state('run')


def dump(finished: bool = True, profile_process: str = 'worker') -> None:
    """Ends the trace, which writes it."""
    set_state('stop')


def dumps(reset: bool = False, *args: Any, **kwargs: Any) -> str:
    """Where the traces are: JAX has no table of them as a string."""
    return f'traces of jax.profiler: {pathlib.Path(_config["filename"]).with_suffix("")}'


class Domain:
    """Groups what is marked.

    Args:
        name: its name.
    """

    def __init__(self, name: str):
        self.name: str = name


class Task:
    """What is marked in the trace from `start` to `stop`, or by a `with` block.

    Args:
        domain: its group.
        name: its name in the trace.
    """

    def __init__(self, domain: Any, name: str = ''):
        self.name: str = name or str(domain)
        self._marks: list[Any] = []

    def start(self) -> None:
        """Begins."""
        self._marks.append(jax.profiler.TraceAnnotation(self.name))
        self._marks[-1].__enter__()

    def stop(self) -> None:
        """Ends what began last."""
        if self._marks:
            self._marks.pop().__exit__(None, None, None)

    def __enter__(self) -> 'Task':
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


Frame = Event = scope = Task
