"""`plainly`, the `jax.jit` of large programs of which a test asks what we trace, not how XLA optimizes it.

A plain translation takes a third of the time. What these programs are compared with is compiled as users compile it.
"""

import functools

import jax

plainly = functools.partial(
    jax.jit, compiler_options={'xla_backend_optimization_level': 0, 'xla_cpu_use_fusion_emitters': False}
)
