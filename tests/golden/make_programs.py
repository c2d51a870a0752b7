"""Writes programs/*.npz: what the programs of `programs` give on MXNet.

Run it as make_golden.py says, with the themes to write (all by default). Keys are 'program answer'.
"""

import importlib
import pathlib
import sys

import mxnet as mx
import numpy as np

PROGRAMS = pathlib.Path(__file__).parent / 'programs'

if __name__ == '__main__':
    themes = sys.argv[1:] or [path.stem for path in PROGRAMS.glob('*.py') if path.stem not in ('__init__', 'common')]
    for theme in themes:
        found = {}
        for program in importlib.import_module('programs.' + theme).PROGRAMS:
            for name, value in program(mx).items():
                found['{} {}'.format(program.__name__, name)] = np.asarray(value)
        np.savez_compressed(str(PROGRAMS / theme) + '.npz', **found)
