"""Every error says what happened, what was expected, what came instead, and what to do next; nothing has changed."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gluonjax
from gluonjax import Layer, Param, errors, loss, metric, nn, optimizer

X = jnp.ones((2, 3))


class Record(Layer):
    """Records a statistic inside a transformation of its own."""

    def __init__(self, way):
        self.way = way
        self.mean = Param((), init='zeros', trainable=False)

    def note(self, row):
        self.mean = row.sum()
        return row

    def forward(self, x):
        return jax.vmap(self.note)(x) if self.way == 'vmap' else jax.lax.map(self.note, x)


def initialized(*layers):
    net = nn.Sequential(*layers)
    net.initialize()
    return net


def called(*layers):
    net = initialized(*layers)
    net(X)
    return net


def read_early():
    net = nn.Sequential(nn.Dense(4))
    net[0].weight.data()


def read_before_data():
    net = initialized(nn.Dense(4))
    net[0].weight.data()


def misfit():
    net = nn.Sequential(nn.Dense(300), nn.Dense(10, in_units=256))
    net.initialize()
    net(X)


def foreign_params():
    net = nn.Sequential(nn.Dense(4), nn.Dense(2))
    net.apply(
        {'0': {'weight': jnp.ones((5, 3))}, '1': {'weight': jnp.ones((2, 4)), 'bias': X[0, :2]}, '7': {'w': X}}, X
    )


def tie():
    first = nn.Dense(3, in_units=3)
    nn.Sequential(first, nn.Dense(4, in_units=3, params=first.params)).collect_params()


def tie_by_name():
    nn.Sequential(nn.Dense(2, in_units=3), nn.Dense(4, in_units=2)).tie('1.weight', '0.weight')


def freeze():
    nn.Dense(3).units = 4


CASES = {
    'a parameter read before initialize': (
        read_early,
        errors.UninitializedError,
        ["parameter '0.weight' has not been initialized", 'try: call net.initialize(), then net(x)'],
    ),
    'a call before initialize': (
        lambda: nn.Sequential(nn.Dense(4))(X),
        errors.UninitializedError,
        ["parameter '0.weight' has not been initialized", 'net.initialize()'],
    ),
    'a parameter read after initialize and before data': (
        read_before_data,
        errors.DeferredInitializationError,
        ["'0.weight'", 'its shape (4, None) waits for the first input', 'call net(x) once', 'in_units='],
    ),
    'a wrong input width': (
        misfit,
        errors.ShapeError,
        [
            "'1.weight' has shape (10, 256), but the input (2, 300) of layer 1 needs (10, 300)",
            'in layer 1 (Dense), input (2, 300)',
            'layer 0 (Dense): (2, 3) -> (2, 300)',
            'try: check the widths on the way here',
        ],
    ),
    'another width than the first input had': (
        lambda: called(nn.Dense(4))(jnp.ones((2, 5))),
        errors.ShapeError,
        [
            "'0.weight' has shape (4, 3), but the input (2, 5) of layer 0 needs (4, 5)",
            'try: check the width of the input',
        ],
    ),
    'params that are not those': (
        foreign_params,
        errors.ParamsError,
        [
            'these params are not those of Sequential',
            'missing: 0.bias (4,)',
            'extra: 7.w (2, 3)',
            'shape of 0.weight: expected (4, None), got (5, 3)',
            'try: params come from init, apply_train or net.params',
        ],
    ),
    'params as flax has them': (
        lambda: nn.Dense(2).apply({'params': nn.Dense(2).init(0, X)}, X),
        errors.ParamsError,
        ['extra: params.bias (2,)', 'try: net.apply(params, x), where others have'],
    ),
    'training as flax has it': (
        lambda: nn.Sequential(nn.Dense(2)).apply({'0': nn.Dense(2).init(0, X)}, X, deterministic=True),
        errors.ArgumentError,
        ["inputs named ['deterministic']", 'try: net(x, training=True, key=key)'],
    ),
    'dropout without a key': (
        lambda: nn.Sequential(nn.Dropout(0.5)).apply_train({}, X),
        errors.MissingKeyError,
        ['layer 0 asks for a random key', 'try: apply_train(params, x, key=key)'],
    ),
    'a call of a bare layer': (
        lambda: nn.Dense(3)(X),
        errors.BareLayerError,
        ['Dense(3) is a definition and holds no values', 'layer.init(key, x)', 'nn.Sequential(layer)'],
    ),
    'a change of a frozen layer': (
        freeze,
        errors.FrozenError,
        ["Dense is frozen: 'units' cannot be set after construction", 'try: make a new layer', 'nn.Block'],
    ),
    'a tie of different shapes': (
        tie,
        errors.TieError,
        ["'0.weight' and '1.weight' are tied, but their shapes differ", 'expected: (3, 3)', 'got: (4, 3)', 'net.tie('],
    ),
    'a tie of different shapes by name': (
        tie_by_name,
        errors.TieError,
        ["'1.weight' cannot be tied to '0.weight'", 'expected: (4, 2)', 'got: (2, 3)', 'try: give a transform='],
    ),
    'a pattern that matches nothing': (
        lambda: nn.Sequential(nn.Dense(3)).initialize({'conv.*': 'zeros'}),
        errors.PatternError,
        ["no parameter matches 'conv.*'", "expected: a pattern for one of ['0.weight', '0.bias']", 'try: patterns are'],
    ),
    'a statistic recorded under vmap': (
        lambda: called(Record('vmap')),
        errors.TransformationError,
        ["'0.mean' was recorded inside a transformation", 'vmap', 'try: return the value', 'assign it outside'],
    ),
    'a statistic recorded under scan': (
        lambda: called(Record('scan')),
        errors.TransformationError,
        ["'0.mean' was recorded inside a transformation", 'scan', 'in layer 0 (Record)'],
    ),
    'an integer input where floats are needed': (
        lambda: called(nn.Dense(4))(jnp.ones((2, 3), int)),
        errors.DTypeError,
        [
            'this layer needs floating-point input',
            'got: int32 of shape (2, 3)',
            "x.astype('float32')",
            'in layer 0 (Dense)',
        ],
    ),
    'a training call inside jit': (
        lambda: jax.jit(lambda x: initialized(nn.Dense(4))(x, training=True))(X),
        errors.TransformationError,
        ['net(x, training=True) stores running statistics', 'net.apply_train(params, x, key=key)'],
    ),
    'a first call inside jit without initialize': (
        lambda: jax.jit(nn.Sequential(nn.Dense(4)))(X),
        errors.UninitializedError,
        ["'0.weight' has not been initialized", 'net.initialize()'],
    ),
    'a shape that no input completes': (
        lambda: nn.Sequential(nn.Dense(4)).init(0),
        errors.ShapeError,
        ["the shapes of ['0.weight'] are still unknown", 'in_units='],
    ),
}


@pytest.mark.parametrize('case', CASES)
def test_the_message_says_it_all(case):
    call, kind, parts = CASES[case]
    with pytest.raises(errors.GluonError) as error:
        call()
    assert type(error.value) is kind
    for part in parts:
        assert part in str(error.value)


def test_a_wrong_width_starts_with_the_line_of_the_design():
    with pytest.raises(errors.ShapeError) as error:
        misfit()
    assert str(error.value).startswith(
        "'1.weight' has shape (10, 256), but the input (2, 300) of layer 1 needs (10, 300)\n"
    )


def test_where_it_was_is_told_once_in_nested_networks():
    inner = nn.Sequential(nn.Dense(4, in_units=9))
    net = nn.Sequential(nn.Dense(5), nn.Sequential(nn.Identity(), inner))
    net.initialize()
    with pytest.raises(errors.ShapeError) as error:
        net(X)
    lines = str(error.value).split('\n')
    assert "'1.1.0.weight' has shape (4, 9)" in lines[0]
    assert [line.strip() for line in lines if line.strip().startswith('in ')] == [
        'in layer 1.1.0 (Dense), input (2, 5)'
    ]
    assert 'layer 1.0 (Identity): (2, 5) -> (2, 5)' in str(error.value)


@pytest.mark.parametrize('x', [jnp.ones((2, 7)), jnp.ones((2, 3), int)], ids=['width', 'dtype'])
@pytest.mark.parametrize('training', [False, True])
def test_a_failed_call_changes_nothing(x, training):
    net = initialized(nn.BatchNorm(), nn.Dense(4, in_units=3), nn.Dense(2))
    shapes = {name: cell.shape for name, cell in net.collect_params().items()}
    with pytest.raises(errors.GluonError):
        net(x, training=training)
    assert {name: cell.shape for name, cell in net.collect_params().items()} == shapes
    with pytest.raises(errors.DeferredInitializationError):
        net[2].weight.data()
    net(X)
    before = net.params
    with pytest.raises(errors.GluonError):
        net(x, training=training)
    assert all(a is b for a, b in zip(jax.tree.leaves(net.params), jax.tree.leaves(before), strict=True))


@pytest.mark.parametrize('training', [False, True])
def test_empty_batches_make_no_nan(training):
    net = called(nn.Dense(3), nn.BatchNorm(), nn.Dropout(0.5), nn.Flatten(), nn.Dense(1))
    y = net(jnp.ones((0, 3)), training=training)
    assert y.shape == (0, 1)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(net.params))
    assert float(net[1].running_var.data()[0]) == 1


def test_details_that_are_not_given_are_not_shown():
    assert str(errors.GluonError('what')) == 'what'
    assert str(errors.GluonError('what', got=0)) == 'what\n  got: 0'
    assert (
        str(errors.GluonError('what', expected='a', got='b', remedy='c')) == 'what\n  expected: a\n  got: b\n  try: c'
    )


def test_every_error_is_typed_for_those_who_catch_pythons_own():
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    assert len(kinds) > 10
    for kind in kinds:
        assert issubclass(kind, errors.GluonError)
        assert kind.__doc__
        ours = [base for base in kind.__mro__ if base in kinds and base is not errors.GluonError]
        if kind is not errors.GluonError:
            assert any(issubclass(base, Exception) and base not in kinds for each in ours for base in each.__bases__)


def test_another_number_of_inputs_is_refused_where_it_is():
    x = np.ones((2, 3), 'float32')
    for run in (lambda: nn.Dense(2).init(0, x, x), lambda: nn.Sequential(nn.Dense(2)).definition.init(0, x, x)):
        with pytest.raises(errors.ArgumentError, match=r'Dense takes other inputs\n.*Dense\(x\)\n.*\(2, 3\), \(2, 3\)'):
            run()


@pytest.mark.parametrize(
    ('make', 'name'),
    [
        (lambda: loss.HuberLoss(rho=-1), 'HuberLoss'),
        (lambda: metric.TopKAccuracy(top_k=0), 'TopKAccuracy'),
        (lambda: optimizer.SGD(wd='a'), 'SGD'),
        (lambda: nn.Dense(-1), 'Dense'),
    ],
)
def test_errors_of_constructors_name_the_class(make, name):
    with pytest.raises(errors.GluonError, match=rf'in the constructor of {name}$'):
        make()


@pytest.mark.parametrize('label', [None, 's', [1.0, None]])
@pytest.mark.parametrize('name', ['accuracy', 'f1', 'mse', 'nll_loss', 'pearsonr'])
def test_a_metric_takes_arrays(name, label):
    with pytest.raises(gluonjax.errors.GluonError):
        gluonjax.metric.create(name).update(label, jnp.ones((2, 3)) if label == 's' else None)


def test_an_optimizer_takes_arrays():
    with pytest.raises(gluonjax.errors.ParamsError, match=r"parameter 'a\.b' is no array"):
        gluonjax.optimizer.SGD().init({'a': {'b': 'text'}})


def test_a_cell_around_another_without_a_step_says_so():
    with pytest.raises(NotImplementedError, match='has no step'):
        gluonjax.rnn.ModifierCell(gluonjax.rnn.RNNCell(3)).specs(jnp.ones((2, 4)), [jnp.ones((2, 3))])


@pytest.mark.parametrize('wrong', ['s', {'a': 1.0}, (jnp.ones((2, 3)), jnp.ones(3)), object()])
def test_a_loss_takes_arrays(wrong):
    for inputs in ((wrong, jnp.ones((2, 3))), (jnp.ones((2, 3)), wrong)):
        with pytest.raises(gluonjax.errors.GluonError, match=r'(?s)L2Loss.*arrays of numbers.*got: '):
            gluonjax.loss.L2Loss()(*inputs)
    with pytest.raises(gluonjax.errors.ArgumentError, match=r'L2Loss\(\): pred must be an array, got None'):
        gluonjax.loss.L2Loss()(None, jnp.ones(3))
