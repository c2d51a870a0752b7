"""mx.init, mx.lr_scheduler and mx.metric, as MXNet's programs call and extend them."""

import json

import numpy as np
import pytest

import gluonjax.mx as mx
from gluonjax import init as native
from gluonjax.errors import ArgumentError, ParamsError, PatternError
from gluonjax.mx import autograd, gluon, nd

ENDS = {'weight': 5, 'bias': 0, 'gamma': 1, 'beta': 0, 'moving_mean': 0, 'moving_var': 1, 'quantize_min': 0}


def filled(initializer, name, shape=(2,)):
    array = nd.full(shape, 9)
    initializer(name, array)
    return array.asnumpy()


@pytest.mark.parametrize('described', [str, mx.init.InitDesc])
def test_the_end_of_a_name_says_how(described):
    found = {name: filled(mx.init.Constant(5), described(f'a_{name}')).tolist() for name in ENDS}
    assert found == {name: [value] * 2 for name, value in ENDS.items()}
    with pytest.raises(ArgumentError, match="'a' does not say"):
        filled(mx.init.Uniform(), described('a'))


def test_variables_have_initializers_of_their_own():
    desc = mx.init.InitDesc('a_bias', {'__init__': mx.init.Constant(3).dumps()})
    assert filled(mx.init.Zero(), desc).tolist() == [3, 3]
    assert mx.sym.var('a', init=mx.init.One()).attr('__init__') == '["one", {}]'


@pytest.mark.parametrize(
    ('made', 'string'),
    [
        (
            mx.init.Xavier(magnitude=2.34, factor_type='in'),
            ['xavier', {'rnd_type': 'uniform', 'factor_type': 'in', 'magnitude': 2.34}],
        ),
        (mx.init.MSRAPrelu(), ['msraprelu', {'factor_type': 'avg', 'slope': 0.25}]),
        (mx.init.Bilinear(), ['bilinear', {}]),
    ],
)
def test_strings_are_those_of_mxnet(made, string):
    assert json.loads(made.dumps()) == string
    assert mx.init.create(made.dumps()) == made


def test_numbers_are_those_of_the_library():
    weights = []
    for initializer in (mx.init.Xavier(), native.Xavier(), 'xavier'):
        mx.random.seed(3)
        net = gluon.nn.Dense(3, in_units=2)
        net.initialize(initializer)
        weights.append(net.weight.data().asnumpy())
    np.testing.assert_array_equal(weights[0], weights[1])
    np.testing.assert_array_equal(weights[0], weights[2])
    assert np.abs(filled(mx.init.Xavier(), 'a_weight', (4, 6))).max() <= np.sqrt(3 / 5)


def test_fused_layers_have_weights_before_biases():
    """By MXNet's layout: the weights of all layers and directions, then the biases, gates by gates."""
    gates, hidden, inputs = 4, 2, 3
    sizes = [inputs, hidden] * 2 + [2 * hidden, hidden] * 2  # of two layers that run both ways
    vector = mx.nd.zeros(sum(gates * hidden * (size + 1) for size in sizes))
    made = mx.init.FusedRNN(mx.init.Constant(0.5), hidden, 2, 'lstm', True, forget_bias=3.0)
    made('lstm_weight', vector)
    weights = gates * hidden * sum(sizes)
    assert set(vector.asnumpy()[:weights].tolist()) == {0.5}
    assert vector.asnumpy()[weights:].tolist() == [0, 0, 3, 3, 0, 0, 0, 0] * len(sizes)
    assert mx.init.create(made.dumps()) == made
    relu = mx.nd.zeros(2 * (3 + 1) + 2 * (2 + 1))
    mx.init.FusedRNN(None, 2, 1, 'rnn_relu')(mx.init.InitDesc('weight', global_init=mx.init.One()), relu)
    assert relu.asnumpy().tolist() == [1] * 10 + [0] * 4


def test_constants_of_arrays_are_written_as_lists():
    assert mx.init.Constant(np.ones(2)).dumps() == mx.init.Constant(mx.nd.ones(2)).dumps()
    assert json.loads(mx.init.Constant(np.ones(2)).dumps()) == ['constant', {'value': [1, 1]}]


class Own(mx.init.Initializer):
    def __init__(self, value=2):
        super().__init__(value=value)
        self.value, self.seen = value, []

    def _init_weight(self, name, arr):
        self.seen.append(str(name))
        arr[:] = self.value * mx.nd.random.uniform(1, 2, arr.shape)


def test_initializers_of_ones_own():
    mx.init.register(Own)
    own = Own(4)
    net = gluon.nn.Dense(2, in_units=2)
    net.initialize(own)
    weight = net.weight.data().asnumpy()
    assert own.seen == [net.weight.name]
    assert 4 <= weight.min() < weight.max() < 8
    assert net.bias.data().asnumpy().tolist() == [0, 0]  # which its layer declares
    by_name = gluon.nn.Dense(2, weight_initializer='own', in_units=1)
    by_name.initialize()
    assert (by_name.weight.data().asnumpy() >= 2).all()
    assert mx.init.create(own.dumps()).value == 4


def test_in_gluon_names_do_not_decide():
    parameter = gluon.Parameter('a_bias', shape=(2,))
    parameter.initialize(default_init=mx.init.One())
    assert parameter.data().asnumpy().tolist() == [1, 1]
    drawn = gluon.Parameter('a_bias', shape=(2,))
    drawn.initialize()
    assert 0 < abs(drawn.data().asnumpy()).max() <= 0.07


class Everything(mx.init.Initializer):
    def __call__(self, name, arr):
        arr[:] = len(name)


def test_a_call_of_ones_own_fills_every_parameter():
    net = gluon.nn.Dense(2, in_units=1, prefix='net_')
    net.initialize(mx.init.One())
    before = net.weight.data()
    row = before[0]
    net.initialize(Everything(), force_reinit=True)
    assert net.weight.data().asnumpy().tolist() == [[10], [10]]
    assert net.bias.data().asnumpy().tolist() == [8, 8]
    assert before.asnumpy().tolist() == [[1], [1]]  # arrays that programs hold stay as they are
    assert row.asnumpy().tolist() == [1]


class Positive(mx.init.Xavier):
    def _init_weight(self, name, arr):
        super()._init_weight(name, arr)
        arr[:] = arr.abs()


def test_those_of_mxnet_can_be_extended():
    assert (filled(Positive(), 'a_weight', (4, 4)) > 0).all()
    net = gluon.nn.Dense(4, in_units=4)
    net.initialize(Positive())
    assert (net.weight.data().asnumpy() > 0).all()


def test_mixed_and_load(tmp_path):
    mixed = mx.init.Mixed(['b.*', '.*weight'], [mx.init.Constant(3), mx.init.One()])
    assert [filled(mixed, name)[0] for name in ('b_weight', 'a_weight')] == [3, 1]
    with pytest.raises(PatternError):
        filled(mixed, 'a_bias')
    nd.save(str(tmp_path / 'values'), {'arg:a_weight': nd.array([1, 2])})
    load = mx.init.Load(str(tmp_path / 'values'), default_init=mx.init.One())
    assert [filled(load, name).tolist() for name in ('a_weight', 'b_weight')] == [[1, 2], [1, 1]]
    with pytest.raises(ParamsError):
        filled(mx.init.Load({}), 'a_weight')


def test_schedulers_can_be_changed_and_extended():
    halving = mx.lr_scheduler.FactorScheduler(2, 0.5)
    halving.base_lr = 1.0
    assert [halving(i) for i in range(6)] == [1.0, 1.0, 1.0, 0.5, 0.5, 0.25]
    late = mx.lr_scheduler.MultiFactorScheduler([2, 5], 0.5, base_lr=1.0, warmup_steps=2)
    assert [late(i) for i in range(8)] == [0.0, 0.5, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25]

    class Inverse(mx.lr_scheduler.LRScheduler):
        def __call__(self, num_update):
            self.last = num_update
            return self.base_lr / (1 + num_update)

    inverse = Inverse(base_lr=0.3)
    sgd = mx.optimizer.SGD(learning_rate=0.6, lr_scheduler=inverse, begin_num_update=2)
    assert (round(sgd.learning_rate, 6), inverse.last, inverse.base_lr) == (0.2, 2, 0.6)
    with pytest.raises(ValueError, match='step'):
        mx.lr_scheduler.FactorScheduler(0)


class Distance(mx.metric.EvalMetric):
    def __init__(self, name='distance', **kwargs):
        super().__init__(name, power=1, has_global_stats=True, **kwargs)

    def update(self, labels, preds):
        labels, preds = mx.metric.check_label_shapes(labels, preds, wrap=True)
        for label, pred in zip(labels, preds, strict=True):
            distance = float((label - pred).abs().sum().asscalar())
            self.sum_metric += distance
            self.global_sum_metric += distance
            self.num_inst += label.size
            self.global_num_inst += label.size


def test_metrics_of_ones_own():
    labels = nd.array([0, 1, 1])
    metric = Distance()
    metric.update(labels, labels + 1)
    metric.reset_local()
    metric.update([labels], [labels + 3])
    assert (metric.get(), metric.get_global()) == (('distance', 3.0), ('distance', 2.0))
    assert (metric.num_inst, metric.global_num_inst, metric.global_sum_metric) == (3, 6, 12.0)
    assert metric.get_config()['power'] == 1
    with pytest.raises(ValueError, match='do not fit'):
        mx.metric.check_label_shapes([labels], [labels, labels])


def test_metrics_count_all_that_they_saw():
    labels, preds = nd.array([0, 1, 1]), nd.array([[0.3, 0.7], [0, 1], [0.4, 0.6]])
    accuracy = mx.metric.create(json.dumps(mx.metric.Accuracy(axis=-1).get_config()))
    for _ in range(2):
        accuracy.reset_local()
        with autograd.record():
            accuracy.update([labels], [preds])
    assert (accuracy.num_inst, accuracy.sum_metric) == (3, 2.0)
    assert (accuracy.global_num_inst, accuracy.global_sum_metric) == (6, 4.0)
    torch = mx.metric.create('torch')
    torch.update(None, [preds])
    assert torch.get() == ('torch', 0.5)
