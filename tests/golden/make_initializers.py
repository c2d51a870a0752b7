"""Records from which distributions MXNet's initializers draw: `initializers.json`, `initializers.npz`.

Runs in the environment that `make_golden.py` describes:

    mxnet-env/bin/python tests/golden/make_initializers.py

`initializers.json` has

    registry       string -> class name, for what `mx.init.create` understands
    signatures     constructor arguments as in `layers.json`
    laws           [class, kwargs, shape, draw]: what one call for a weight of this shape draws,
                   {'kind': 'uniform', 'low', 'high', 'shape'} or
                   {'kind': 'normal', 'mean', 'sigma', 'shape'};
                   {'kind': 'array', 'key'} if it draws nothing: the value is `key` of `initializers.npz`;
                   {'error', 'message'} if MXNet refuses
    orthogonal     [kwargs, shape, facts about the result]
    dispatch       what an initializer makes of a parameter by its name ('law': its own answer, whatever
                   the name; 'zero', 'one'; the error's type), by the three ways to call it:
                   `desc`, init(InitDesc(name), array); `legacy`, init(name, array);
                   `gluon`, a Parameter of this name with no initializer of its own
    mixed, load    what these two do
"""
import pathlib
import types
import warnings

from make_golden import error, signature, write_json  # first: it chooses MXNet's CPU code

import mxnet as mx
import numpy as np
from mxnet import gluon, init, nd
from mxnet.initializer import InitDesc

HERE = pathlib.Path(__file__).parent

# Unequal first sizes, so that no two of fan in, fan out and their mean agree.
SHAPES = [(8,), (6, 4), (4, 6), (6, 4, 3), (6, 4, 3, 2), (2, 3, 2, 3, 4)]
XAVIER = [{'rnd_type': rnd, 'factor_type': factor, 'magnitude': magnitude}
          for rnd in ('uniform', 'gaussian') for factor in ('avg', 'in', 'out') for magnitude in (3, 2.24, 2)]
LAWS = [
    ('Uniform', [{}, {'scale': 0.5}], SHAPES),
    ('Normal', [{}, {'sigma': 0.5}], SHAPES),
    ('Xavier', [{}, *XAVIER], SHAPES),
    ('MSRAPrelu', [{}, *({'factor_type': f, 'slope': s} for f in ('avg', 'in', 'out') for s in (0.25, 0))],
     SHAPES),
    ('Orthogonal', [{}, {'rand_type': 'normal', 'scale': 2.0}], SHAPES),
    ('Zero', [{}], SHAPES[:2]),
    ('One', [{}], SHAPES[:2]),
    ('Constant', [{'value': 42}, {'value': -0.5}], SHAPES[:2]),
    # An array is broadcast to the shape, or refused.
    ('Constant', [{'value': [[1, 2, 3], [4, 5, 6]]}, {'value': [1, 2, 3]}, {'value': [1, 2]}], [(2, 3)]),
    # Rank 4 is what it is for; of rank 5 it reads the third and fourth sizes all the same.
    ('Bilinear', [{}], [(8,), (6, 4), (2, 1, 4, 4), (1, 2, 3, 3), (1, 1, 2, 5), (1, 1, 2, 3, 4)]),
    ('LSTMBias', [{}, {'forget_bias': 2.0}], [(8,), (12,), (10,), (8, 2)]),
    ('Xavier', [{'rnd_type': 'nonsense'}, {'factor_type': 'nonsense'}], [(6, 4)]),
    ('Orthogonal', [{'rand_type': 'nonsense'}], [(6, 4)]),
]

NAMES = ['weight', 'bias', 'gamma', 'beta', 'running_mean', 'running_var', 'moving_mean', 'moving_var',
         'moving_inv_var', 'moving_avg', 'min', 'max', 'alpha', 'h2h_weight', 'i2h_bias', 'dense0_weight',
         'weight_quantize', 'bias_quantize', 'upsampling_weight', 'stn_loc_weight', 'something_else']


class Drawing:
    """Stands in for `mxnet.random` inside `mxnet.initializer`: draws as before, and takes notes."""

    def __enter__(self):
        self.draws = []
        self.real = mx.initializer.random
        mx.initializer.random = types.SimpleNamespace(
            uniform=self.noting('uniform', 'low', 'high'), normal=self.noting('normal', 'mean', 'sigma'),
            randint=self.noting('randint', 'low', 'high'))
        return self

    def __exit__(self, *_):
        mx.initializer.random = self.real

    def noting(self, kind, first, second):
        def draw(a, b, shape=None, **kwargs):
            size = None if shape is None else [float(n) if n != int(n) else int(n) for n in shape]
            self.draws.append({'kind': kind, first: float(a), second: float(b), 'shape': size})
            return getattr(self.real, kind)(a, b, **({} if shape is None else {'shape': shape}), **kwargs)
        return draw


def make(name, kwargs):
    value = kwargs.get('value')
    if isinstance(value, list):
        kwargs = {'value': nd.array(value)}
    return getattr(init, name)(**kwargs)


def law(name, kwargs, shape, arrays):
    array = nd.full(shape, 7.)
    with Drawing() as drawing:
        refused = error(lambda: make(name, kwargs)(InitDesc('weight'), array))
    if refused:
        return refused
    if drawing.draws:
        draw, = drawing.draws
        return draw
    key = '%s/%d' % (name, len(arrays))
    arrays[key] = array.asnumpy()
    return {'kind': 'array', 'key': key}


def orthogonal(kwargs, shape):
    """The matrix is the weight with all axes but the first made one."""
    array = nd.zeros(shape)
    initializer = init.Orthogonal(**kwargs)
    initializer(InitDesc('weight'), array)
    matrix = array.asnumpy().reshape(shape[0], -1).astype('float64') / initializer.scale
    wide = matrix.shape[0] <= matrix.shape[1]
    gram = matrix @ matrix.T if wide else matrix.T @ matrix
    return {'scale': initializer.scale, 'matrix': list(matrix.shape),
            'orthonormal': 'rows' if wide else 'columns',
            'accurate_to_1e-6': bool(abs(gram - np.eye(len(gram))).max() < 1e-6)}


def outcome(call, array):
    """What `call` made of `array`, in one word if there is one."""
    array[:] = 7.
    with Drawing() as drawing, warnings.catch_warnings():
        warnings.simplefilter('ignore')  # the legacy way says it is legacy
        refused = error(lambda: call(array))
    if refused:
        return refused['error']
    if drawing.draws:
        return 'law' if drawing.draws[0]['kind'] != 'randint' else 'randint'
    found = np.unique(array.asnumpy())
    return {0: 'zero', 1: 'one', 42: 'law'}.get(found[0], 'other') if len(found) == 1 else 'other'


def through_gluon(initializer, name):
    def call(array):
        params = gluon.ParameterDict()
        parameter = params.get(name, shape=array.shape)
        params.initialize(initializer)
        array[:] = parameter.data()
    return call


def dispatch():
    table = {}
    for label, initializer in [('Uniform()', init.Uniform()), ('Constant(42)', init.Constant(42))]:
        for name in NAMES:
            array = nd.zeros((1, 1, 2, 2))
            table['%s %s' % (label, name)] = {
                'desc': outcome(lambda a: initializer(InitDesc(name), a), array),
                'legacy': outcome(lambda a: initializer(name, a), array),
                'gluon': outcome(through_gluon(initializer, name), array)}
    return table


def mixed():
    """Its initializers may be any callables, so these only say who was called."""
    def chosen(patterns, name):
        called = []
        init.Mixed(patterns, [lambda name, array, p=p: called.append(p) for p in patterns])(name, None)
        return called

    def value(name):
        array = nd.full((2,), 7.)
        init.Mixed(['.*'], [init.Constant(42)])(InitDesc(name), array)
        return array[0].asscalar().item()

    return {
        'chosen': [[patterns, name, chosen(patterns, name)] for patterns, name in [
            (['bias', '.*'], 'bias'), (['bias', '.*'], 'bias_of_it'), (['bias', '.*'], 'dense0_bias'),
            (['.*bias', '.*'], 'dense0_bias'), (['.*', '.*bias'], 'dense0_bias')]],
        'no_match': error(lambda: chosen(['bias'], 'weight')),
        'unequal_lengths': error(lambda: init.Mixed(['a', 'b'], [init.Zero()])),
        'Constant(42) inside': {name: value(name) for name in ['dense0_weight', 'dense0_bias', 'bn0_gamma']},
        'gluon': error(lambda: initialized_by(init.Mixed(['.*'], [init.Zero()]))),
    }


def load():
    loader = init.Load({'arg:a': nd.full((2,), 1.), 'aux:b': nd.full((2,), 2.), 'c': nd.full((2,), 3.)},
                       default_init=init.Constant(42))

    def value(name, shape=(2,)):
        array = nd.full(shape, 7.)
        loader(InitDesc(name), array)
        return array[0].asscalar().item()

    return {
        'names': sorted(loader.param),
        'values': {name: value(name) for name in ['a', 'b', 'c', 'absent_weight', 'absent_bias']},
        'prefixed_name': error(lambda: value('arg:a')),
        'other_shape': error(lambda: value('a', (3,))),
        'absent_without_default': error(lambda: init.Load({})(InitDesc('weight'), nd.zeros(2))),
        'gluon': error(lambda: initialized_by(loader)),
    }


def initialized_by(initializer):
    gluon.nn.Dense(2, in_units=2).initialize(initializer)


def main():
    arrays = {}
    laws = [[name, kwargs, list(shape), law(name, kwargs, shape, arrays)]
            for name, all_kwargs, shapes in LAWS for kwargs in all_kwargs for shape in shapes]
    registry = mx.registry.get_registry(init.Initializer)
    classes = sorted({*registry.values(), init.Mixed, init.Load}, key=lambda c: c.__name__)
    np.savez_compressed(HERE / 'initializers.npz', **arrays)
    write_json(HERE / 'initializers.json', {
        'mxnet': mx.__version__,
        'registry': {name: cls.__name__ for name, cls in sorted(registry.items())},
        'signatures': {cls.__name__: signature(cls) for cls in classes},
        'laws': laws,
        'orthogonal': [[kwargs, list(shape), orthogonal(kwargs, shape)]
                       for kwargs in [{}, {'rand_type': 'normal', 'scale': 2.0}] for shape in SHAPES[1:]],
        'dispatch': dispatch(), 'mixed': mixed(), 'load': load()})


if __name__ == '__main__':
    main()
