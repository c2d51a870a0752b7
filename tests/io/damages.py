"""Damages of files, for tests and, as a script, for as many as one has time for: `python tests/io/damages.py 100000`.

Whatever is done to a file, it is read, or refused with a FileError, in bounded time and memory.
"""

import pathlib
import random
import resource
import struct
import sys
import tempfile
import time

import numpy as np

from gluonjax import errors
from gluonjax.io import formats, npz, safetensors

GOLDEN = np.load(pathlib.Path(__file__).parents[1] / 'golden' / 'files.npz')
NUMBERS = [0, 1, 2, 3, 8, 64, 65, 127, 255, 2**31 - 1, 2**31, 2**32 - 1, 2**60, 2**63 - 1, 2**63, 2**64 - 1]
MOST_SECONDS, MOST_BYTES = 2.0, 1 << 31


def samples():
    """Whole files by name, of each format and everything that MXNet wrote."""
    files = {name: GOLDEN[name].tobytes() for name in GOLDEN.files if name.startswith('file/')}
    weight = np.arange(6, dtype='float32').reshape(2, 3)
    arrays = {'0.weight': weight, '1.weight': weight, 'b': np.ones(3, 'uint8'), 'none': np.zeros((0, 2))}
    sparse = {'s/data': np.ones((1, 2)), 's/indices': np.array([1]), 's/shape': np.array([3, 2])}
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / 'file'
        for name, module, content in (
            ('safetensors', safetensors, arrays),
            ('npz', npz, arrays),
            ('sparse.npz', npz, sparse),
        ):
            module.save(path, content)
            files[name] = path.read_bytes()
        np.savez_compressed(path, **arrays)
        files['compressed.npz'] = path.with_suffix('.npz').read_bytes()
    return files


def damaged(data, rng):
    """The bytes of a file after some damages."""
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        at = rng.randrange(len(data) + 1)
        kind = rng.choice(['bit', 'byte', 'number', 'cut', 'remove', 'repeat', 'insert'])
        if kind == 'bit' and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 'byte' and at < len(data):
            data[at] = rng.randrange(256)
        elif kind == 'number':
            layout = rng.choice(['<Q', '<I', '<H'])
            number = struct.pack(layout, rng.choice(NUMBERS) % 256 ** struct.calcsize(layout))
            data[at : at + len(number)] = number
        elif kind == 'cut':
            del data[at:]
        elif kind == 'remove':
            del data[at : at + rng.randrange(1, 40)]
        elif kind == 'repeat':
            data[at:at] = data[at : at + rng.randrange(1, 200)]
        elif kind == 'insert':
            data[at:at] = rng.randbytes(rng.randrange(1, 20))
    return bytes(data)


def outcome(path, data):
    """How reading these bytes ends: 'read' or 'refused'; every number that was read is looked at."""
    path.write_bytes(data)
    begin = time.perf_counter()
    try:
        for array in formats.load(path).values():
            if array.nbytes < 1 << 20:
                array.tobytes()
        refusal = None
    except errors.FileError as error:
        refusal = str(error)
    assert refusal is None or f"'{path}', byte " in refusal
    assert time.perf_counter() - begin < MOST_SECONDS
    return 'read' if refusal is None else 'refused'


def main(count):
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    rng, files, seen = random.Random(0), samples(), {'read': 0, 'refused': 0}
    with tempfile.TemporaryDirectory(dir='/dev/shm') as folder:
        for i in range(count):
            name = rng.choice(list(files))
            data = damaged(files[name], rng)
            path = pathlib.Path(folder) / ('a.safetensors' if name == 'safetensors' else 'a.params')
            try:
                seen[outcome(path, data)] += 1
            except Exception:
                pathlib.Path('damaged-file').write_bytes(data)
                print(f'{name}, number {i}: its bytes are in damaged-file', file=sys.stderr)
                raise
    print(f'{count} damaged files: {seen}')


if __name__ == '__main__':
    main(int(sys.argv[1]))
