"""What loads batches at the same time: threads, or processes that are forked from a server.

Batches are the same, and come in the same order, whoever loads them and however many do.
"""

from __future__ import annotations

import atexit
import collections
import contextlib
import contextvars
import os
import pickle
import queue
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any

from gluonjax.errors import DataError

Load = Callable[[Any], Any]  # a job to a batch


class Workers:
    """Threads that load batches, or that each let a process do it.

    Args:
        count: how many.
        task: loads the batch of a job.
        timeout: how many seconds a batch may take.
        prepare: called in each process before the task is unpickled; None for threads alone. Processes take the task
            only where it can be pickled and imports nothing from `__main__`; else it is threads.
        module: what processes have imported.
    """

    def __init__(self, count: int, task: Load, timeout: float, prepare: Callable[[], Any] | None, module: str):
        self._task, self._timeout = task, timeout
        self._executor = ThreadPoolExecutor(count, 'loader')
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        pickled = None if prepare is None else _pickled(task)
        self.processes: int = 0 if pickled is None else count  # how many there are
        sockets = []
        for _ in range(self.processes):
            sockets.append(_SERVER.worker(module))
            self._idle.put(_Process(sockets[-1], task, pickle.dumps(prepare), pickled))  # type: ignore[arg-type]
        self.close: Callable[[], Any] = weakref.finalize(self, _close, self._executor, sockets)

    def load(self, jobs: Iterable[Any], ahead: int) -> Iterator[Any]:
        """The batches of jobs in order, `ahead` of them begun before they are asked for.

        Raises:
            DataError: if one takes too long, or its process ended.
            Exception: whatever was raised where it was loaded; from a process with the traceback there as its cause.
        """
        pending: collections.deque[Future[Any]] = collections.deque()
        try:
            for job in jobs:
                run = self._remote if self.processes else contextvars.copy_context().run
                arguments = (job,) if self.processes else (self._task, job)
                pending.append(self._executor.submit(run, *arguments))  # pyright: ignore[reportArgumentType]
                if len(pending) > ahead:
                    yield self._result(pending.popleft())
            while pending:
                yield self._result(pending.popleft())
        finally:
            for future in pending:
                future.cancel()

    def _result(self, future: Future[Any]) -> Any:
        try:
            return future.result(self._timeout)
        except TimeoutError as error:
            if future.done():  # the dataset's own
                raise
            raise DataError(
                f'a worker took longer than timeout={self._timeout} seconds for a batch',
                remedy='a greater timeout=, fewer workers, or a smaller batch',
            ) from error

    def _remote(self, job: Any) -> Any:
        process = self._idle.get()
        try:
            return process.load(job)
        finally:
            self._idle.put(process)


def _close(executor: ThreadPoolExecutor, sockets: list[Any]) -> None:
    for each in sockets:
        with contextlib.suppress(OSError):
            each.close()
    executor.shutdown(wait=False, cancel_futures=True)


def _pickled(task: Load) -> bytes | None:
    """The task as bytes; None if another process could not have it."""
    if not hasattr(socket, 'send_fds'):
        return None
    try:
        data = pickle.dumps(task, pickle.HIGHEST_PROTOCOL)
    except Exception:  # whatever objects raise that cannot be pickled: lambdas, functions within functions, files
        return None
    return None if b'__main__' in data else data


class _RemoteTraceback(Exception):
    """The traceback of another process."""

    def __str__(self) -> str:
        return f'\n{self.args[0]}'


class _Process:
    """A process that loads batches. One that cannot import what the task is made of leaves them to its thread here."""

    def __init__(self, connection: Any, task: Load, *messages: bytes):
        self._connection, self._task, self._messages = connection, task, messages
        self._has_task = False

    def load(self, job: Any) -> Any:
        try:
            if self._messages:
                for message in self._messages:
                    self._connection.send_bytes(message)
                self._messages, self._has_task = (), pickle.loads(self._connection.recv_bytes())
            if not self._has_task:
                return self._task(job)
            self._connection.send_bytes(pickle.dumps(job))
            answer = self._connection.recv_bytes()
        except (EOFError, OSError) as error:
            raise DataError(
                'a worker process ended before its batch was loaded',
                remedy='num_workers=0 shows why; thread_pool=True has threads load batches',
            ) from error
        done, value = pickle.loads(answer)
        if done:
            return value
        error, trace = value
        raise error or DataError('a worker raised an error') from _RemoteTraceback(trace)


class _Server:
    """The process that workers are forked from, once one is needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control: Any = None
        self._process: Any = None

    def worker(self, module: str) -> Any:
        """A connection to a new worker, which has a module imported."""
        ours, theirs = socket.socketpair()
        with self._lock, theirs:
            if self._process is None or self._process.poll() is not None:
                self._start()
            socket.send_fds(self._control, [module.encode()], [theirs.fileno()])
        return Connection(ours.detach())

    def _start(self) -> None:
        self._control, theirs = socket.socketpair()
        code = f'from gluonjax.data.server import serve; serve({theirs.fileno()})'
        path = os.pathsep.join(filter(None, [os.path.dirname(_HOME), *sys.path]))
        environment = os.environ | {'PYTHONPATH': path, 'JAX_PLATFORMS': 'cpu'}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, '-c', code],
                pass_fds=[theirs.fileno()],
                env=environment,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # an interrupt of the program is not one of its workers
            )

    def close(self) -> None:
        """Ends it, and all workers that wait."""
        if self._process is not None:
            self._control.close()
            self._process.terminate()
            self._process.wait()


_HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_SERVER = _Server()
atexit.register(_SERVER.close)
