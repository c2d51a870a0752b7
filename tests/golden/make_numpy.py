"""Writes numpy.npz: what the expressions of numpy_cases.py give on MXNet, with their gradients.

Run it as make_golden.py says. Keys are 'expression' and 'expression -> input' for the gradient of an input.
"""

import pathlib

import mxnet as mx
import numpy as np
from numpy_cases import cases, evaluate

if __name__ == '__main__':
    mx.npx.set_np()
    found = {}
    for expression in cases():
        for name, value in evaluate(expression, mx).items():
            found[expression + (' -> ' + name if name else '')] = value
    np.savez_compressed(str(pathlib.Path(__file__).parent / 'numpy.npz'), **found)
