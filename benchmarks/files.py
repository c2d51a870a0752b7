"""How much longer than its bytes does a file of parameters take to read and to write? 1 GB, and 300 MB of small arrays.

Reading ends with arrays of JAX, ours in the Parameters of a network, and the base is to read the same bytes into a new
piece of memory for each array. The file is in the cache of the operating system. Peers: the safetensors library and
orbax, and MXNet in the interpreter that MXNET_PYTHON names. The argument is the folder for the files, by default one
for temporary files; in a folder of memory (/dev/shm) the disk has no part in what is written.
"""

import gc
import os
import pathlib
import shutil
import sys
import tempfile
import time

import jax
import numpy as np
from _timing import available, in_mxnet, report, time_each

from gluonjax import nn
from gluonjax.io import formats

ROUNDS = 5
SIZES = {'1 GB: 60 layers of width 2048': (60, 2048), '300 MB: 300 layers of width 512': (300, 512)}
BASE = 'the bytes'


def network_of(layers, width):
    return nn.Sequential(*(nn.Dense(width, in_units=width) for _ in range(layers)))


def timed(function, written=None, prepare=lambda: ()):
    """A measurement: what the function returns is waited for; it and what was written go when the clock has stopped."""

    def measure() -> float:
        gc.collect()
        arguments = prepare()
        start = time.perf_counter()
        result = jax.block_until_ready(function(*arguments))
        seconds = time.perf_counter() - start
        del result, arguments
        if written:
            shutil.rmtree(written) if written.is_dir() else written.unlink()
        return seconds

    return measure


def readers(net, folder):
    """What reads each file, by name."""
    params, safetensors = folder / 'net.params', folder / 'net.safetensors'

    def by_library():
        from safetensors.flax import load_file

        return timed(lambda: load_file(safetensors))

    def by_orbax():
        import orbax.checkpoint

        reader = orbax.checkpoint.PyTreeCheckpointer()
        how = jax.tree.map(lambda array: orbax.checkpoint.ArrayRestoreArgs(sharding=array.sharding), net.params)
        return timed(lambda: reader.restore(folder / 'net.orbax', restore_args=how))

    def ours(path):
        def prepare():
            fresh = network_of(len(net), net[0].weight.shape[0])
            return fresh, list(fresh.collect_params().values())

        def read(fresh, parameters):
            fresh.load_parameters(path)
            return [parameter.data() for parameter in parameters]

        return timed(read, prepare=prepare)

    sizes = [parameter.data().nbytes for parameter in net.collect_params().values()]

    def by_hand():
        pieces = [np.empty(size, 'uint8') for size in sizes]
        with open(params, 'rb') as file:
            for piece in pieces:
                file.readinto(piece)
        return pieces

    made = {BASE: timed(by_hand), 'the bytes at once': timed(params.read_bytes)}
    made |= {f'gluonjax {path.suffix}': ours(path) for path in (params, safetensors, folder / 'net.orbax')}
    made |= available({'safetensors.flax': by_library, 'orbax': by_orbax})
    mxnet = in_mxnet('_mxnet_files.py', 'read', str(params))
    return made | ({'MXNet': mxnet} if mxnet else {})


def writers(net, folder):
    """What writes each file, by name."""
    values = {name: parameter.data() for name, parameter in net.collect_params().items()}
    pieces = [np.asarray(value).reshape(-1).data for value in values.values()]

    def by_hand():
        with open(folder / 'bytes', 'wb') as file:
            file.writelines(pieces)

    def by_library():
        from safetensors.flax import save_file

        return timed(lambda: save_file(values, theirs), theirs)

    def by_orbax():
        import orbax.checkpoint

        writer = orbax.checkpoint.PyTreeCheckpointer()
        return timed(lambda: writer.save(theirs, net.params), theirs)

    def by_numpy():
        return timed(lambda: np.savez(theirs.with_suffix('.npz'), **values), theirs.with_suffix('.npz'))

    def ours(suffix):
        path = folder / f'ours{suffix}'
        return timed(lambda: formats.save(path, values), path)

    theirs, made = folder / 'theirs', {BASE: timed(by_hand, folder / 'bytes')}
    made |= {f'gluonjax {suffix}': ours(suffix) for suffix in ('.params', '.safetensors', '.npz', '.orbax')}
    made |= available({'safetensors.flax': by_library, 'orbax': by_orbax, 'numpy.savez': by_numpy})
    mxnet = in_mxnet('_mxnet_files.py', 'write', str(folder / 'net.params'))
    return made | ({'MXNet': mxnet} if mxnet else {})


if __name__ == '__main__':
    for title, (layers, width) in SIZES.items():
        folder = pathlib.Path(tempfile.mkdtemp(dir=sys.argv[1] if len(sys.argv) > 1 else None))
        network = network_of(layers, width)
        network.initialize('xavier', key=0)
        try:
            for suffix in ('.params', '.safetensors', '.orbax'):
                network.save_parameters(folder / f'net{suffix}')
            os.sync()
            for what, make in (('read', readers), ('write', writers)):
                report(f'{what}, {title}', time_each(make(network, folder), ROUNDS), base=BASE, unit='ms')
        finally:
            shutil.rmtree(folder)
