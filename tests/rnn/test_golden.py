"""MXNet's numbers, names and signatures of recurrent layers and cells."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden.rnn_cases import CELLS, LAYERS, LENGTHS, STEPS
from rnn_golden import Whole, all_answers, arrays, build, facts

from gluonjax import rnn

by_case = pytest.mark.parametrize('case', LAYERS + CELLS, ids=lambda case: case.name)


@by_case
def test_numbers_of_mxnet(case):
    ours, golden = all_answers()[case.name], arrays()[case.name]
    fields = [field for field in golden if field.startswith(('begin/', 'states/', 'lengths/', 'step/'))]
    assert {'begin/out', 'states/out', 'states/grad_x', 'lengths/out'} <= set(fields)
    for field in fields:
        if field in ours or not (case in LAYERS and field.startswith('begin/s')):  # an output alone
            assert ours[field].shape == golden[field].shape, field
            np.testing.assert_allclose(ours[field], golden[field], rtol=2e-5, atol=2e-5, err_msg=field)


@by_case
def test_names_and_shapes_of_mxnet(case):
    layer, x = build(case), jax.ShapeDtypeStruct(arrays()[case.name]['x'].shape, 'float32')
    layer, prefix = (layer, '') if case in LAYERS else (Whole(layer, case.layout), 'cell.')
    ours = [
        {
            'name': name.removeprefix(prefix),
            'shape': list(spec.shape),
            'dtype': spec.dtype,
            'grad_req': 'write' if spec.trainable else 'null',
        }
        for name, spec in layer.specs(x).items()
    ]
    assert ours == facts()['cases'][case.name]['params']


@pytest.mark.parametrize('name', sorted(facts()['signatures']))
def test_signatures_of_mxnet(name):
    golden = [row for row in facts()['signatures'][name] if row[0] not in ('prefix', 'params')]
    golden = [[row[0], None] if row[0] == 'input_size' else row for row in golden]  # None says unknown here

    def plain(value):
        return list(value) if isinstance(value, tuple) else value

    arguments = list(inspect.signature(getattr(rnn, name).__init__).parameters.values())[1:]
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    ours = [[a.name] if a.default is a.empty else [a.name, plain(a.default)] for a in arguments if a.kind not in kinds]
    # MXNet's takes use_sequence_length in **kwargs.
    ours_alone = ('use_sequence_length', 'implementation')
    assert [row for row in ours if row[0] not in ours_alone] == golden


@pytest.mark.parametrize('name', sorted(facts()['methods']))
def test_method_signatures_of_mxnet(name):
    for cls in (rnn.LSTMCell, rnn.SequentialRNNCell, rnn.ResidualCell, rnn.BidirectionalCell, rnn.LSTM):
        if hasattr(cls, name) and not (cls is rnn.LSTM and name == 'forward'):
            ours = list(inspect.signature(getattr(cls, name)).parameters.values())[1:]
            names = [a.name for a in ours if a.kind is not a.VAR_KEYWORD]
            assert names == [row[0] for row in facts()['methods'][name]], cls
            for a, row in zip(ours, facts()['methods'][name], strict=False):
                if len(row) > 1 and a.name != 'func':
                    assert a.default == row[1], (cls, a)


RETURNS = {case.layer: case for case in CELLS if case.name in facts()['unroll_returns']}.values()


@pytest.mark.parametrize('case', RETURNS, ids=lambda case: case.name)
def test_unroll_returns_what_mxnets_does(case):
    x = arrays()[case.name]['x']
    steps = [jnp.take(x, i, case.layout.index('T')) for i in range(STEPS)]
    for key, merged in facts()['unroll_returns'][case.name].items():
        merge, form, lengths = key.split()
        layer = Whole(build(case), case.layout, {'None': None, 'True': True, 'False': False}[merge])
        given = (x if form == 'array' else steps, None, np.array(LENGTHS, 'float32') if lengths == 'lengths' else None)
        params = jax.eval_shape(lambda g, layer=layer: layer.init(0, *g), given)
        outputs, _ = jax.eval_shape(layer.apply, params, *given)
        if merged is not None:  # MXNet fails there
            assert isinstance(outputs, list) == (not merged), key
        whole = arrays()[case.name]['states/out'].shape
        axis = case.layout.index('T')
        if isinstance(outputs, list):
            assert [o.shape for o in outputs] == [whole[:axis] + whole[axis + 1 :]] * STEPS
        else:
            assert outputs.shape == whole
