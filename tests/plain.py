"""`plainly`, the `jax.jit` of large programs of which a test asks what we trace, not how XLA optimizes it.

A plain translation takes a third to a half of the time. MXNet's numbers are compared with programs that are compiled as
users compile them.
"""

import functools
from typing import Any

import jax

OPTIONS: dict[str, Any] = {'xla_backend_optimization_level': 0}
if jax.__version_info__ < (0, 11):
    OPTIONS['xla_cpu_use_fusion_emitters'] = False  # JAX 0.12 has no such option

plainly = functools.partial(jax.jit, compiler_options=OPTIONS)
