"""What every test runs with: eight CPU devices, no rank promotion, and a library stream that starts anew.

XLA keeps what it compiled in build/, by the program: most of a run is compiling, and many tests, workers and child
processes compile the same.
"""

import os
import pathlib

os.environ['XLA_FLAGS'] = f'{os.environ.get("XLA_FLAGS", "")} --xla_force_host_platform_device_count=8'
os.environ.setdefault('JAX_COMPILATION_CACHE_DIR', str(pathlib.Path(__file__).parents[1] / 'build' / 'compiled'))
os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', '0')

import jax
import numpy as np
import pytest

import gluonjax

jax.config.update('jax_numpy_rank_promotion', 'raise')


@pytest.fixture(autouse=True)
def _fresh_stream():
    gluonjax.seed(0)


@pytest.fixture
def random():
    return np.random.RandomState(0)
