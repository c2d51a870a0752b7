"""The process that loaders' workers come from: it never starts JAX, so that it can fork, as one with threads cannot.

It is told a socket for each worker that is wanted, and what that will import. A worker ends when its loader closes the
socket, and the server when the program that started it ends.
"""

from __future__ import annotations

import importlib
import os
import pickle
import random
import signal
import socket
import sys
import traceback
import warnings
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

import numpy as np


def serve(descriptor: int) -> None:
    """Forks a worker for every socket that comes, until the program is gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for workers
    warnings.filterwarnings('ignore', message='.*fork', category=RuntimeWarning)  # JAX's, which has not started here
    control = socket.socket(fileno=descriptor)
    while True:
        module, descriptors, *_ = socket.recv_fds(control, 256, 1)
        if not module:
            return
        importlib.import_module(module.decode())  # once for all workers
        if os.fork() == 0:
            control.close()
            try:
                work(Connection(descriptors[0]))
            finally:
                sys.stderr.flush()
                os._exit(0)
        os.close(descriptors[0])


def work(connection: Any) -> None:
    """Loads batches.

    It receives what prepares the process, and a `Task`, and says whether it could have that; then jobs, whose batches
    or errors it sends.
    """
    try:
        pickle.loads(connection.recv_bytes())()
        done, task = _attempt(lambda: pickle.loads(connection.recv_bytes()))
        connection.send_bytes(pickle.dumps(done))
        while True:
            job = pickle.loads(connection.recv_bytes())
            _seed_globals((*job.seed, job.place))
            connection.send_bytes(_pickled(*_attempt(lambda: task(job))))  # noqa: B023 -- called at once
    except (EOFError, OSError):  # the loader is gone
        return


def _attempt(function: Any) -> tuple[bool, Any]:
    """Whether a function succeeded, and its result, or the error and its traceback."""
    try:
        return True, function()
    except Exception as error:
        return False, (error, traceback.format_exc())


def _pickled(done: bool, value: Any) -> bytes:
    if done:
        done, value = _attempt(lambda: pickle.dumps((True, value), pickle.HIGHEST_PROTOCOL))
        if done:
            return value
    error, trace = value
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = None
    return pickle.dumps((False, (error, trace)))


def _seed_globals(seed: Sequence[int]) -> None:
    """What users' transforms draw from belongs to the batch, so that it is the same in whichever process."""
    words = np.random.SeedSequence(seed).generate_state(4)
    random.seed(words.tobytes())
    np.random.seed(words)  # noqa: NPY002 -- what users' code draws from
