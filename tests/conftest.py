"""What every test runs with: eight CPU devices, no rank promotion, a fresh library stream, and programs made quickly.

Most of a run is compiling. XLA therefore optimizes nothing, which halves it, except in tests that are marked
`optimized`: those that compare the bits of different programs, or count on how XLA rounds for users. What took long is
kept in build/, by the program, as many tests, workers and child processes compile the same.
"""

import gc
import os
import pathlib
from typing import Any

os.environ['XLA_FLAGS'] = f'{os.environ.get("XLA_FLAGS", "")} --xla_force_host_platform_device_count=8'
os.environ.setdefault('JAX_COMPILATION_CACHE_DIR', str(pathlib.Path(__file__).parents[1] / 'build' / 'compiled'))
os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', '0.05')

import jax
import numpy as np
import pytest
from jax._src import compiler

import gluonjax

jax.config.update('jax_numpy_rank_promotion', 'raise')


QUICK: dict[str, Any] = {'xla_backend_optimization_level': 0}
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
        """What was made quickly is forgotten where programs as users have them are asked for."""
        if optimized and not self.optimized:
            jax.clear_caches()
        self.optimized = optimized


compiler.get_compile_options = compiling = Compiling()


def optimized(item):
    return item.get_closest_marker('optimized') is not None


def pytest_collection_modifyitems(items):
    items.sort(key=optimized, reverse=True)  # each switch to them compiles again


def pytest_collection_finish():
    """What is loaded by now stays: the garbage collector need not look through it a thousand times."""
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item):
    compiling.switch(optimized(item))


@pytest.fixture(autouse=True)
def _fresh_stream():
    gluonjax.seed(0)


@pytest.fixture
def random():
    return np.random.RandomState(0)
