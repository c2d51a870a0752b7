"""What every test runs with: eight CPU devices, no rank promotion, a fresh library stream, and programs made quickly.

Most of a run is compiling. XLA therefore optimizes nothing, which halves it, except in tests that are marked
`optimized`: those that compare the bits of different programs, or count on how XLA rounds for users. All programs are
kept in build/, as many tests, workers and child processes compile the same.
"""

import gc
import os
import pathlib
import threading
from typing import Any

os.environ['XLA_FLAGS'] = f'{os.environ.get("XLA_FLAGS", "")} --xla_force_host_platform_device_count=8'
os.environ.setdefault('JAX_COMPILATION_CACHE_DIR', str(pathlib.Path(__file__).parents[1] / 'build' / 'compiled'))
os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', '0')

import jax
import numpy as np
import pytest
from jax._src import compiler
from jax._src.interpreters import mlir
from jaxlib.mlir import ir

import gluonjax

jax.config.update('jax_numpy_rank_promotion', 'raise')


QUICK: dict[str, Any] = {'xla_backend_optimization_level': 0, 'xla_cpu_parallel_codegen_split_count': 1}
if jax.__version_info__ < (0, 11):
    QUICK['xla_cpu_use_fusion_emitters'] = False  # JAX 0.12 has no such option


class Compiling:
    """What JAX asks for the options of each compilation: those that users have, or the quick ones."""

    def __init__(self):
        self.optimized = True
        self.options = compiler.get_compile_options

    def __call__(self, *args, env_options_overrides=None, backend=None, **kwargs):
        if not self.optimized and backend is not None and backend.platform == 'cpu':
            env_options_overrides = QUICK | (env_options_overrides or {})
        return self.options(*args, env_options_overrides=env_options_overrides, backend=backend, **kwargs)

    def switch(self, optimized):
        """Programs of the other kind are forgotten: a test never compares bits of one kind with bits of the other."""
        if optimized != self.optimized:
            jax.clear_caches()
        self.optimized = optimized


class Contexts(threading.local):
    """Loads the dialects of MLIR for fifty programs at once: for a small one that takes longer than all the rest.

    A program that is made while another is being lowered has a context of its own, as JAX gives to all.
    """

    def __init__(self):
        self.made, self.context = 0, None
        self.make = MAKE_CONTEXT

    def __call__(self):
        if ir.Context.current is not None:
            return self.make()
        if self.made % 50 == 0:  # a context keeps what programs put into it
            self.context = self.make()
        self.made += 1
        return self.context


MAKE_CONTEXT = mlir.make_ir_context
mlir.make_ir_context = Contexts()
compiler.get_compile_options = compiling = Compiling()


def optimized(item):
    return item.get_closest_marker('optimized') is not None


def pytest_collection_modifyitems(items):
    items.sort(key=optimized, reverse=True)  # each switch to them compiles again


def pytest_collection_finish():
    """What is loaded by now stays: the garbage collector need not look through it a thousand times.

    Tracing makes many objects, nearly all of which go by themselves: it looks less often too.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_runtest_setup(item):
    compiling.switch(optimized(item))


@pytest.fixture(autouse=True)
def _fresh_stream():
    gluonjax.seed(0)


@pytest.fixture
def random():
    return np.random.RandomState(0)


def program_count(trainer):
    """How many programs a Trainer has compiled for its network as it is now."""
    return sum(map(len, trainer.compiled_step.current.programs.values()))
