"""Graphs that people published or exported, against MXNet's outputs. They lie beside the project, not everywhere."""

import importlib.util
import json
import pathlib

import numpy as np
import pytest

import gluonjax.mx as mx
from gluonjax.io import mxnet_params

BESIDE = (parent / 'shared' / 'models' for parent in pathlib.Path(__file__).parents)
FOLDER = next((folder for folder in BESIDE if folder.is_dir()), pathlib.Path('nowhere'))
MODELS = sorted(path.name for path in FOLDER.glob('*/')) if FOLDER.is_dir() else []
LARGE = ('gcv_icnet', 'gcv_yolo3_mobilenet1', 'gnlp_bert', 'miraclewkf_resnet18', 'sagemaker_ssd_boats')

# fill.py leaves its files open.
pytestmark = pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning')

if not MODELS:
    pytest.skip('the exported graphs are not here', allow_module_level=True)

spec = importlib.util.spec_from_file_location('fill', FOLDER / 'fill.py')
fill = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fill)


def values_of(folder):
    inputs, values = fill.values(str(folder))
    for name in ('model.params', 'constants.params'):
        if (folder / name).exists():
            stored = mxnet_params.load(folder / name)
            values |= {key.removeprefix('arg:').removeprefix('aux:'): value for key, value in stored.items()}
    return inputs, values


@pytest.mark.parametrize(
    'name', [pytest.param(name, marks=pytest.mark.slow) if name in LARGE else name for name in MODELS]
)
def test_outputs_are_mxnets(name):
    folder = FOLDER / name
    meta = json.loads((folder / 'meta.json').read_text())
    inputs, values = values_of(folder)
    symbol = mx.sym.load(folder / 'model-symbol.json')
    inner = [output['name'] for output in meta['outputs'][meta['n_true_outputs'] :]]
    symbol = mx.sym.Group([symbol, *(symbol.get_internals()[output] for output in inner)])
    inputs |= {key: values[key] for key in values if key.endswith('label') and key in symbol.list_arguments()} | inputs
    values = {key: value for key, value in values.items() if key not in inputs}
    outputs = mx.gluon.network_of(symbol, list(inputs), values)(*inputs.values())
    outputs = outputs if isinstance(outputs, list) else [outputs]
    with np.load(folder / 'oracle.npz') as stored:
        oracle = dict(stored)
    for number, (output, about) in enumerate(zip(outputs, meta['outputs'], strict=True)):
        theirs = oracle[f'out{number}']
        assert list(output.shape) == about['shape']
        ours = np.asarray(output).reshape(-1)[:: about['stride']][: theirs.size]
        scale = np.abs(theirs).max()
        np.testing.assert_allclose(ours, theirs.reshape(-1), 1e-4, 1e-5 * max(scale, 1))
