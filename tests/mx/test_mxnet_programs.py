"""Programs of MXNet, with the import changed: their numbers are MXNet's."""

import collections
import importlib.util
import os
import pathlib
import sys

import numpy as np
import pytest

import gluonjax.mx as mx
from gluonjax.mx.gluon import naming

PROGRAMS = pathlib.Path(__file__).parents[1] / 'golden' / 'programs'
spec = importlib.util.spec_from_file_location(
    'golden_programs', PROGRAMS / '__init__.py', submodule_search_locations=[str(PROGRAMS)]
)
sys.modules[spec.name] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules[spec.name])

# What compiles long, and is much like others, runs with WHOLE_PROGRAMS=1 alone.
COSTLY = {
    'blocks-own_blocks',
    'dialect_models-masked_words',
    'dialect_models-translation',
    'dialect_tasks-style',
    'networks-blocks_in_a_row',
    'networks-dense_blocks',
    'networks-inception',
    'optimizers-trainers',
    'sequences-of_gluon',
    'tasks-recommendation',
    'tasks-sentiment',
}
CASES = [
    pytest.param(theme, program, id=f'{theme}-{program.__name__}')
    for theme in sorted(path.stem for path in PROGRAMS.glob('*.npz'))
    for program in importlib.import_module(f'{spec.name}.{theme}').PROGRAMS
    if 'WHOLE_PROGRAMS' in os.environ or f'{theme}-{program.__name__}' not in COSTLY
]


@pytest.fixture(scope='module')
def golden():
    return {path.stem: dict(np.load(path)) for path in PROGRAMS.glob('*.npz')}


@pytest.mark.filterwarnings('ignore:all blocks of', 'ignore:.*is initialized already')  # as MXNet warns
@pytest.mark.parametrize(('theme', 'program'), CASES)
def test_a_program_gives_mxnets_numbers(theme, program, golden, monkeypatch):
    monkeypatch.setattr(naming, '_OUTERMOST', collections.Counter())  # names are counted from 0
    found = {f'{program.__name__} {name}': np.asarray(value) for name, value in program(mx).items()}
    expected = {key: value for key, value in golden[theme].items() if key.partition(' ')[0] == program.__name__}
    assert set(found) == set(expected)
    for key, value in expected.items():
        assert found[key].shape == value.shape, key
        assert found[key].dtype.kind == value.dtype.kind, key
        np.testing.assert_allclose(found[key], value, rtol=2e-5, atol=5e-6, err_msg=key)
