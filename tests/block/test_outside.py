"""What comes in from outside: byte orders, strings, objects, other libraries' arrays, memory that is written again."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gluonjax
from gluonjax import Block, errors, init, loss, metric, nn
from gluonjax.arrays import admit

X = np.linspace(-1, 1, 12, dtype='float32').reshape(4, 3)


def network():
    net = nn.Sequential(nn.Dense(2, in_units=3))
    net.initialize(key=0)
    return net


@pytest.mark.parametrize('dtype', ['>f4', '<f4', '>f8', '>i4', '>i2', '>f2', 'int8', 'bool'])
@pytest.mark.parametrize('calls', [0, 2])
def test_every_byte_order(dtype, calls):
    net = nn.Sequential(nn.Lambda(lambda x: x.astype('float32')), nn.Dense(2, in_units=3))
    net.initialize(key=0)
    for _ in range(calls):
        net(jnp.asarray(X))
    x = (X * 4).astype(dtype)
    w, b = (np.asarray(net[1].weight), np.asarray(net[1].bias))
    np.testing.assert_allclose(net(x), x.astype('float32') @ w.T + b, rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(net(x), net(x.astype(x.dtype.newbyteorder('='))))


@pytest.mark.parametrize(
    'x', [np.array([['a', 'b', 'c']]), np.array([[1, 'x', None]], object), np.array([['2020-01-01'] * 3], 'M8[D]')]
)
@pytest.mark.parametrize('calls', [0, 2])
def test_what_is_no_number_is_refused_by_name(x, calls):
    net = network()
    for _ in range(calls):
        net(X)
    with pytest.raises(errors.DTypeError, match=r'(?s)input.*0.*is no array of numbers.*got: '):
        net(x)
    with pytest.raises(errors.DTypeError, match=r"'0\.weight' is no array of numbers"):
        net[0].weight.set_data(x)


@pytest.mark.parametrize('calls', [0, 2])
def test_the_caller_may_write_into_its_array_once_the_call_has_returned(calls):
    net = nn.Sequential(*(nn.Dense(300, in_units=300, flatten=False) for _ in range(6)))
    net.initialize(key=0)
    buffer = np.ones((200, 300), 'float32')
    expected = np.asarray(net(jnp.ones((200, 300))))
    for _ in range(calls):
        net(jnp.ones((200, 300)))
    outputs = []
    for _ in range(20):
        buffer[:] = 1
        outputs.append(net(buffer))
        buffer[:] = np.nan
    for output in outputs:
        np.testing.assert_array_equal(output, expected)


class Torch:
    """A tensor as PyTorch has them."""

    def __init__(self, array, dtype='torch.float32'):
        self.array, self.dtype, self.shape = array, dtype, array.shape

    def detach(self):
        return self

    def cpu(self):
        return self

    def float(self):
        return Torch(self.array.astype('float32'))

    def numpy(self):
        if self.dtype == 'torch.bfloat16':
            raise TypeError('Got unsupported ScalarType BFloat16')
        return self.array


class Frame:
    shape = (4, 3)

    def to_numpy(self):
        return X


def test_arrays_of_other_libraries():
    net = network()
    expected = net(X)
    np.testing.assert_array_equal(net(Torch(X)), expected)
    np.testing.assert_array_equal(net(Frame()), expected)
    half = Torch(X.astype(jnp.bfloat16), 'torch.bfloat16')
    net.params = {'0': {'weight': Torch(net[0].weight.data()), 'bias': Torch(np.ones(2, 'float32'))}}
    np.testing.assert_allclose(net(X), expected + 1, rtol=1e-6)
    assert admit(half).dtype == jnp.bfloat16
    np.testing.assert_array_equal(admit(half), half.array)


def test_jax_arrays_pass_as_they_are():
    x = jnp.ones(3)
    assert admit((x, {'a': x}))[1]['a'] is x
    assert jax.jit(lambda x: admit(x) + 1)(x)[0] == 2


def test_a_network_without_inputs():
    class Constant(Block):
        def __init__(self):
            self.dense = nn.Dense(2, in_units=3)

        def forward(self):
            return self.dense(jnp.ones((1, 3)))

    net = Constant()
    net.initialize()
    for _ in range(3):
        assert net().shape == (1, 2)


def test_freezing_compiles_no_call_again():
    traced = []

    class Net(Block):
        def __init__(self):
            self.dense = nn.Dense(2)

        def forward(self, x):
            traced.append(x)
            return self.dense(x)

    net = Net()
    net.initialize()
    net(X)
    del traced[:]
    for grad_req in ('null', 'write'):
        net.dense.weight.grad_req = grad_req
        net.dense.weight.lr_mult = 0.5
        net(X)
        assert net.trainable() == {'dense': {'weight': grad_req == 'write', 'bias': True}}
    assert traced == []
    net.cast('float16')
    assert net(X).dtype == 'float16' or traced


def test_freezing_compiles_no_inference_of_a_trainer_again():
    traced = []
    net = nn.Sequential(nn.Dense(2), nn.Lambda(lambda x: (traced.append(x), x)[1]))
    net.initialize(key=0)
    trainer = gluonjax.Trainer(net, loss.L2Loss(), key=0)
    before = trainer.predict(X)
    del traced[:]
    for grad_req in ('null', 'write'):
        net[0].weight.grad_req, net[0].weight.lr_mult = grad_req, 0.5
        np.testing.assert_array_equal(trainer.predict(X), before)
    assert traced == []
    setattr(net, '1', nn.Lambda(lambda x: -x))
    np.testing.assert_array_equal(trainer.predict(X), -before)


def test_who_holds_a_network_is_noted_once():
    """Otherwise each change would go all ways up again, of which there are more with every repetition."""
    net = nn.Sequential(nn.Dense(3, in_units=3), nn.Dense(3, in_units=3))
    net.initialize(key=0)
    outer = nn.Sequential(net)
    for _ in range(40):
        net.tie('1.weight', '0.weight')
        setattr(outer, '0', net)
    changes, changed = [], type(outer)._changed
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(outer), '_changed', lambda *args: (changes.append(args), changed(*args)))
        net[0].weight.grad_req = 'null'
    assert len(changes) <= 8


@pytest.mark.parametrize('value', [float('nan'), -1, 'x', None, float('inf'), 10**400])
def test_multipliers_are_numbers(value):
    net = network()
    for name in ('lr_mult', 'wd_mult'):
        with pytest.raises(errors.ArgumentError, match=f'{name} must be a finite number >= 0'):
            setattr(net[0].weight, name, value)
        assert getattr(net[0].weight, name) == 1


def test_dtypes_compare_as_numpys():
    net = network()
    assert net[0].weight.dtype == np.float32 == jnp.float32
    assert net[0].weight.dtype == 'float32'
    net.cast('bfloat16')
    assert net[0].weight.dtype == jnp.bfloat16


def test_a_cast_that_jax_would_narrow_is_refused():
    net = network()
    with pytest.raises(errors.DTypeError, match='jax_enable_x64'):
        net.cast('float64')
    with pytest.raises(errors.DTypeError, match='jax_enable_x64'):
        net[0].weight.cast('float64')
    assert net[0].weight.dtype == 'float32'
    with jax.enable_x64(True):
        net.cast('float64')
        assert net[0].weight.data().dtype == 'float64'


def test_a_summary_of_an_initialized_network_needs_no_inputs(capsys):
    net = nn.Sequential(nn.Dense(4), nn.BatchNorm(), nn.Activation('relu'))
    net.initialize()
    net(X)
    net.summary()
    text = capsys.readouterr().out
    assert '0 (Dense)' in text
    assert '1 (BatchNorm)' in text
    assert 'parameters: 32; trainable: 24; other: 8' in text
    deferred = nn.Sequential(nn.Dense(4))
    with pytest.raises(errors.ShapeError, match='still unknown'):
        deferred.summary()


def aligned(*shape):
    """Memory that JAX on CPU takes as it is, without a copy."""
    memory = np.zeros(np.prod(shape) + 16, 'float32')
    return memory[-memory.ctypes.data % 64 // 4 :][: np.prod(shape)].reshape(shape)


INITIALIZERS = [
    init.Constant,
    lambda buffer: init.Load({'0.weight': buffer}),
    lambda buffer: {'.*': init.Constant(buffer)},
    lambda buffer: lambda key, shape, dtype: buffer,
]


@pytest.mark.parametrize(
    ('initializer', 'units'), [*((of, 256) for of in INITIALIZERS), *((of, None) for of in INITIALIZERS[:3])]
)
def test_initializers_keep_nothing_of_the_callers_memory(initializer, units):
    net, buffer = nn.Sequential(nn.Dense(256, use_bias=False, in_units=units)), aligned(256, 256)
    buffer[:] = 1.5
    net.initialize(initializer(buffer))
    buffer[:] = 9
    net(np.ones((1, 256), 'float32'))
    assert (np.asarray(net[0].weight) == 1.5).all()


def test_an_assigned_state_keeps_nothing_of_the_callers_memory():
    def trainer():
        return gluonjax.Trainer(network(), loss.L2Loss(), 'sgd', {'momentum': 0.9}, key=0)

    first, second = trainer(), trainer()
    first.step(X, X[:, :2])
    state = jax.tree.map(lambda a: a if jnp.issubdtype(a.dtype, jax.dtypes.prng_key) else np.array(a), first.state)
    second.state = state
    jax.tree.map(lambda a: a.fill(9) if isinstance(a, np.ndarray) and a.ndim else None, state)
    np.testing.assert_array_equal(first.step(X, X[:, :2]), second.step(X, X[:, :2]))
    jax.tree.map(np.testing.assert_array_equal, first.net.params, second.net.params)


def test_losses_and_metrics_may_be_read_after_the_caller_wrote_again():
    pred, label = aligned(100_000, 8), aligned(100_000, 8)
    losses, metrics = [], []
    for i in range(20):
        pred[:], label[:] = i, 0
        metrics.append(metric.MSE())
        metrics[-1].update(label, pred)
        losses.append(loss.L2Loss()(pred, label))
        pred[:] = label[:] = np.nan
    for i in range(20):
        assert (losses[i] == i * i / 2).all()
        np.testing.assert_allclose(metrics[i].get()[1], i * i, rtol=1e-5)


@pytest.mark.parametrize('calls', [0, 2])
@pytest.mark.parametrize('dtype', ['longdouble', 'm8[s]', 'masked'])
def test_numbers_that_jax_has_not(dtype, calls):
    net = network()
    for _ in range(calls):
        net(X)
    if dtype == 'longdouble':
        np.testing.assert_array_equal(net(X.astype(dtype)), net(X))
        net.params = {'0': {'weight': X[:2].astype(dtype), 'bias': np.zeros(2, dtype)}}
        np.testing.assert_array_equal(net[0].weight, X[:2])
        return
    x = np.ma.array(X, mask=X > 0) if dtype == 'masked' else np.zeros((4, 3), dtype)
    what = {'masked': r'input.*has masked elements(?s:.*)filled', 'm8[s]': 'is no array of numbers'}[dtype]
    for call in (net, lambda x: net.apply(net.params, x), lambda x: admit({'x': x})):
        with pytest.raises(errors.DTypeError, match=what):
            call(x)
    np.testing.assert_array_equal(net(np.ma.array(X)), net(X))


def test_values_that_are_no_arrays_are_refused_by_name():
    net = network()
    before = np.asarray(net[0].weight)
    texts, parts = np.array([['a', 'b', 'c']] * 2), [[1, 2, 3], [1, 2]]
    for value in (texts, X[:2].astype('complex64'), parts):
        with pytest.raises(errors.GluonError, match=r'0\.weight'):
            net[0].weight[:] = value
        with pytest.raises(errors.DTypeError, match=r"'0\.weight'"):
            net[0].weight.set_data(value)
    for value in (X[:2].tolist(), parts, 'text'):
        with pytest.raises(errors.ParamsError, match=r'dtype of 0\.weight: expected float32, got (list|str)'):
            net.params = {'0': {'weight': value, 'bias': np.zeros(2, 'float32')}}
    for value in (parts, [[1, None, 2]] * 2, [['a', 'b', 'c']] * 2):
        with pytest.raises(errors.DTypeError, match='the constant is no array of numbers'):
            init.Constant(value)
    np.testing.assert_array_equal(net[0].weight, before)


def test_a_metric_takes_real_numbers():
    mse = metric.MSE()
    for arguments in ((X, X.astype('complex64')), (X.astype('complex64'), X)):
        with pytest.raises(errors.DTypeError, match='a metric takes real numbers'):
            mse.update(*arguments)


def test_params_of_the_callers_memory():
    net, buffers = nn.Sequential(nn.Dense(256, in_units=256)), (aligned(256, 256), aligned(256))
    params = {'0': dict(zip(('weight', 'bias'), buffers, strict=True))}
    outputs, x, step = [], jnp.ones((8, 256)), gluonjax.make_step(net, loss.L2Loss(), 'sgd')
    for _ in range(10):
        for buffer in buffers:
            buffer[:] = 1
        outputs += [net.apply(params, x), net.apply_train(params, x)[0]]
        state = step.init(0, (x, x), params=params)
        for buffer in buffers:
            buffer[:] = np.nan
        assert (state.params['0']['weight'] == 1).all()
    for output in outputs:
        assert (output == 257).all()
