"""Writes modules.npz: what the programs of module_cases.py give on MXNet.

Run it as make_golden.py says. Keys are 'program answer'.
"""

import pathlib

import mxnet as mx
import numpy as np

import module_cases

if __name__ == '__main__':
    found = {}
    for program in module_cases.PROGRAMS:
        for name, value in program(mx).items():
            found['{} {}'.format(program.__name__, name)] = np.asarray(value)
    np.savez_compressed(str(pathlib.Path(__file__).parent / 'modules.npz'), **found)
