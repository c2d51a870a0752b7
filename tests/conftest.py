"""What every test runs with: eight CPU devices, no rank promotion, and a library stream that starts anew."""

import os

os.environ['XLA_FLAGS'] = f'{os.environ.get("XLA_FLAGS", "")} --xla_force_host_platform_device_count=8'

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
