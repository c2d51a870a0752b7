"""GPUs that are not there, for which XLA compiles all the same."""

import os

import jax
from jax.experimental import topologies

H100 = """
platform_name: "CUDA"
device_description_str: "NVIDIA H100 80GB HBM3"
dnn_version_info { major: 9 minor: 10 }
runtime_version { major: 13 }
gpu_device_info {
  cuda_compute_capability { major: 9 }
  threads_per_warp: 32
  threads_per_block_limit: 1024
  threads_per_core_limit: 2048
  core_count: 132
  fpus_per_core: 128
  clock_rate_ghz: 1.98
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
  registers_per_core_limit: 65536
  registers_per_block_limit: 65536
  shared_memory_per_core: 233472
  shared_memory_per_block: 49152
  shared_memory_per_block_optin: 232448
  l2_cache_size: 52428800
  memory_bandwidth: 3352320000000
  device_memory_size: 84929347584
}
"""


def h100s(count: int) -> list[jax.Device]:
    """Devices to compile for, up to 8 in one machine; to be called before JAX is used, with `jax[cuda13]` installed."""
    os.environ['JAX_SKIP_CUDA_CONSTRAINTS_CHECK'] = '1'  # which looks for a driver
    jax.config.update('jax_platforms', 'cpu')  # for all that is computed
    machines = max(1, count // 8)
    shape = f'{machines}x{count // machines}x1'
    return topologies.get_topology_desc(platform='cuda', target_config=H100, topology=shape).devices
