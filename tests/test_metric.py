"""Metrics: MXNet's numbers, other people's, and the distributions of the pure form."""

import copy
import functools
import inspect
import json
import math
import pathlib
import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden.metric_cases import FUNCTIONS, METRICS
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import PartitionSpec

from gluonjax import metric
from gluonjax.errors import ArgumentError, ShapeError, TransformationError
from gluonjax.metric import double_float
from gluonjax.metric.eval_metric import _update

GOLDEN = json.loads((pathlib.Path(__file__).parent / 'golden' / 'metrics.json').read_text())
ARRAYS = np.load(pathlib.Path(__file__).parent / 'golden' / 'metrics.npz')


# MXNet's answers.

# MXNet counts a batch of nothing as one of score 0, or of nan; here it is no batch. It takes labels that are no class
# for another one, or refuses them at once; here `get` refuses.
DIFFERS = {
    'nothing': 'nan',
    'label_minus_one': ArgumentError,
    'label_too_large': ArgumentError,
    'three_labels': ArgumentError,
}


def plain(value) -> Any:
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value if isinstance(value, str) else float(value)


def inputs(case):
    """(labels, preds) of each update."""
    arrays = []
    if case.name in ARRAYS:
        shapes = GOLDEN['shapes'][case.name]
        ends = np.cumsum([math.prod(shape) for shape in shapes])
        arrays = [
            part.reshape(shape) for part, shape in zip(np.split(ARRAYS[case.name], ends[:-1]), shapes, strict=True)
        ]
    arrays = iter(arrays)
    return [None if isinstance(step, str) else [next(arrays) for _ in range(2 * len(step))] for step in case.steps]


def ours(case):
    kwargs = dict(case.kwargs)
    if 'feval' in kwargs:
        kwargs['feval'] = FUNCTIONS[kwargs['feval']]
    if case.name == 'pcc_of_classes':
        kwargs['num_classes'] = 5
    return getattr(metric, case.metric)(**kwargs)


def assert_summed(mine, golden, context):
    counts_updates = mine.name == 'pcc' or (
        mine.name == 'pearsonr' and mine.average == 'micro'
    )  # in MXNet, here samples
    if counts_updates or 'nan' in golden:  # of composite metrics there are none
        return
    np.testing.assert_allclose([mine.sum_metric, mine.num_inst], golden, 2e-6, 2e-6, err_msg=context)


def assert_told(mine, golden, context):
    told = [plain(mine.get()), plain(mine.get_global())]
    if mine.name == 'pearsonr' and mine.average == 'micro':
        golden[1] = golden[0]  # MXNet tells 0 globally, and reset_local forgets nothing
    for (name, value), (expected_name, expected) in zip(told, golden, strict=True):
        assert name == expected_name, context
        np.testing.assert_allclose(np.float64(value), np.float64(expected), rtol=2e-6, atol=2e-7, err_msg=context)


@pytest.mark.parametrize('case', METRICS, ids=lambda case: case.name)
def test_numbers_of_mxnet(case):
    differs = next((answer for kind, answer in DIFFERS.items() if case.name.endswith(kind)), None)
    mine, golden = ours(case), GOLDEN['cases'][case.name]
    assert_told(mine, golden[0], 'before any update')
    for number, (step, arrays) in enumerate(zip(case.steps, inputs(case), strict=True)):
        if arrays is None:
            getattr(mine, step)()
        else:
            mine.update(arrays[::2], arrays[1::2])
        if differs == 'nan':
            assert math.isnan(mine.get()[1])
        elif differs:
            with pytest.raises(differs, match='labels are invalid'):
                mine.get()
        else:
            assert_told(mine, golden[number + 1], f'after step {number}')
            assert_summed(mine, GOLDEN['sums'][case.name][number + 1], f'after step {number}')


def test_signatures_of_mxnet():
    more = {
        'F1': ['class_type', 'threshold', 'num_classes'],
        'PCC': ['num_classes'],
        'CrossEntropy': ['ignore_label', 'axis', 'from_logits'],
        'NegativeLogLikelihood': ['ignore_label', 'axis', 'from_logits'],
        'Perplexity': ['from_logits'],
        'MAE': ['average'],
        'MSE': ['average'],
        'RMSE': ['average'],
    }
    for name, expected in GOLDEN['signatures'].items():
        if name not in ('Caffe', 'Torch'):
            arguments = inspect.signature(getattr(metric, name)).parameters.values()
            ours = [[a.name] if a.default is a.empty else [a.name, a.default] for a in arguments]
            if name == 'Perplexity':
                assert ours.pop(0) == ['ignore_label', None]  # MXNet asks for it
                expected = expected[1:]
            assert ours[: len(expected)] == expected, name
            assert [argument[0] for argument in ours[len(expected) :]] == more.get(name, []), name


def test_configurations_of_mxnet():
    needed = {'TopKAccuracy': {'top_k': 2}, 'CompositeEvalMetric': {'metrics': ['acc', 'mae']}}
    for name, expected in GOLDEN['configs'].items():
        if name not in ('Caffe', 'Torch'):
            config = getattr(metric, name)(**needed.get(name, {})).get_config()
            inside = [part.pop('metrics', [{}]) for part in (config, expected)]
            for ours, theirs in [(config, expected), *zip(*inside, strict=True)]:
                assert ours | theirs == ours, name


def test_a_configuration_makes_an_equal_metric():
    given = metric.create(
        [metric.F1('f', average='micro', threshold=0.25), metric.TopKAccuracy(3), metric.MAE(output_names=['box'])]
    )
    config = json.loads(json.dumps(given.get_config()))
    made = metric.create(config)
    assert made.get_config() == config == given.get_config()
    assert [part.pure for part in made.metrics] == [part.pure for part in given.metrics]
    assert metric.create('acc', name='train').name == 'train'
    with pytest.raises(ArgumentError, match='no configuration'):
        metric.np(lambda label, pred: 0.0).get_config()


def test_registry_of_mxnet():
    arguments = {'TopKAccuracy': {'top_k': 2}, 'CustomMetric': {'feval': max}}
    for name, cls in GOLDEN['registry'].items():
        if cls not in ('Caffe', 'Torch'):
            assert type(metric.create(name.upper(), **arguments.get(cls, {}))) is getattr(metric, cls)


# Several labels and outputs, by name.


def test_labels_and_outputs_by_name(random):
    labels = {'kind': random.randint(0, 3, 6), 'box': random.randn(6, 2).astype('float32')}
    outputs = {'box': random.randn(6, 2).astype('float32'), 'kind': random.randn(6, 3).astype('float32')}
    accuracy = (outputs['kind'].argmax(1) == labels['kind']).mean()
    error = abs(outputs['box'] - labels['box']).mean()
    named = metric.create(
        [
            metric.Accuracy(label_names=['kind'], output_names=['kind']),
            metric.MAE(label_names=['box'], output_names=['box']),
        ]
    )
    named.update_dict(labels, outputs)
    assert named.get()[0] == ['accuracy', 'mae']
    np.testing.assert_allclose(named.get()[1], [accuracy, error], rtol=1e-6)
    values = named.pure.compute(named.pure.update(named.pure.init(), labels, outputs))
    np.testing.assert_allclose(values, [accuracy, error], rtol=1e-6)
    within = metric.CompositeEvalMetric([metric.Accuracy()], label_names=['kind'], output_names=['kind'])
    within.update_dict(labels, outputs)
    assert within.get() == (['accuracy'], [named.get()[1][0]])
    (pure,) = within.pure.of
    assert pure.compute(pure.update(pure.init(), labels, outputs)) == np.float32(accuracy)
    placed = metric.Accuracy(output_names=[1])  # of a tuple
    placed.update(labels['kind'], (outputs['box'], outputs['kind']))
    assert placed.get()[1] == named.get()[1][0]


def test_of_two_dicts_those_of_a_name_belong_together():
    labels = {'b': np.array([1.0, 1.0]), 'a': np.array([5.0, 5.0])}
    preds = {'a': np.array([5.0, 5.0]), 'b': np.array([2.0, 2.0])}
    mine = metric.MAE(average='micro')
    mine.update(labels, preds)
    assert mine.get() == ('mae', 0.5)
    assert mine.pure.compute(mine.pure.update(mine.pure.init(), labels, preds)) == 0.5
    other = {'x': preds['a'], 'y': preds['b']}
    with pytest.raises(ArgumentError, match=r'(?s)which prediction.*label_names= and output_names='):
        mine.pure.update(mine.pure.init(), labels, other)
    mine.update_dict(labels, other)  # in turn, as MXNet: |1 - 5| and |5 - 2|
    assert mine.get()[1] == (0 + 1 + 4 + 3) / 4


@pytest.mark.parametrize('arrays', [{'a': np.ones(2)}, (np.ones(2),), np.ones(2)])
def test_names_that_are_not_there(arrays):
    mine = metric.MAE(output_names=['box', 3])
    with pytest.raises(ArgumentError, match=r"output_names=\['box', 3\] selects by name"):
        mine.pure.update(mine.pure.init(), np.ones(2), arrays)


def test_perplexity_of_logits(random):
    logits, labels = random.randn(5, 7).astype('float32') * 30, random.randint(0, 7, 5)
    labels[1] = -1
    shifted = logits.astype('float64') - logits.max(1, keepdims=True)
    surprise = np.log(np.exp(shifted).sum(1)) - shifted[np.arange(5), labels]
    mean = np.delete(surprise, 1).mean()
    for mine, expected in [
        (metric.Perplexity(ignore_label=-1, from_logits=True), np.exp(mean)),
        (metric.NegativeLogLikelihood(ignore_label=-1, from_logits=True), mean),
        (metric.CrossEntropy(ignore_label=-1, from_logits=True), mean),
    ]:
        mine.update(labels, logits)
        np.testing.assert_allclose(mine.get()[1], expected, rtol=1e-5)


# Other people's numbers.


def batches(random, count=3, size=40, number=2):
    labels = random.randint(0, number, (count, size))
    preds = random.dirichlet(np.ones(number), (count, size)).astype('float32')
    return labels, preds


def fed(mine, labels, preds):
    for label, pred in zip(labels, preds, strict=True):
        mine.update(label, pred)
    return mine.get()[1]


def test_scikit_learn(random):
    sklearn = pytest.importorskip('sklearn.metrics')
    labels, preds = batches(random)
    flat, guess = labels.ravel(), preds.argmax(-1).ravel()
    expected = {
        metric.F1(average='micro'): sklearn.f1_score(flat, guess),
        metric.F1(): np.mean([sklearn.f1_score(a, b.argmax(-1)) for a, b in zip(labels, preds, strict=True)]),
        metric.Fbeta(beta=2): sklearn.fbeta_score(flat, guess, beta=2),
        metric.Fbeta(beta=0.5, threshold=0.8): sklearn.fbeta_score(flat, preds[..., 1].ravel() > 0.8, beta=0.5),
        metric.F1(average='micro', threshold=0.3): sklearn.f1_score(flat, preds[..., 1].ravel() > 0.3),
        metric.MCC(average='micro'): sklearn.matthews_corrcoef(flat, guess),
        metric.PCC(): sklearn.matthews_corrcoef(flat, guess),
        metric.Accuracy(): sklearn.accuracy_score(flat, guess),
        metric.CrossEntropy(): -np.log(preds.reshape(-1, 2).astype('float64')[np.arange(120), flat]).mean(),
    }
    for mine, value in expected.items():
        np.testing.assert_allclose(fed(mine, labels, preds), value, rtol=1e-6, err_msg=repr(mine))
    mine = metric.BinaryAccuracy(threshold=0.7)
    np.testing.assert_allclose(fed(mine, labels, preds[..., 1]), np.mean(labels == (preds[..., 1] > 0.7)))


def test_pcc_counts_every_entry_of_a_row():
    # MXNet counts the pair (0, 0) of the first row once.
    labels, guess = np.array([[0, 0, 0], [1, 2, 1]]), np.array([[0, 0, 1], [1, 2, 0]])
    preds = np.moveaxis(np.eye(3)[guess], -1, 1)
    sklearn = pytest.importorskip('sklearn.metrics')
    expected = sklearn.matthews_corrcoef(labels.ravel(), guess.ravel())
    np.testing.assert_allclose(fed(metric.PCC(), [labels], [preds]), expected, rtol=1e-12)


def test_pcc_of_classes_counts_those_that_it_meets():
    sklearn = pytest.importorskip('sklearn.metrics')
    labels, guess = np.array([0, 1, 1, 3, 2]), np.array([0, 1, 0, 3, 1])
    pcc = metric.PCC()
    pcc.update(labels[:3], guess[:3])  # two classes
    pcc.reset_local()
    pcc.update(labels[3:], guess[3:])  # and two more
    np.testing.assert_allclose(pcc.get_global()[1], sklearn.matthews_corrcoef(labels, guess), rtol=1e-12)
    np.testing.assert_allclose(pcc.get()[1], sklearn.matthews_corrcoef(labels[3:], guess[3:]), rtol=1e-12)


@pytest.mark.parametrize('average', ['macro', 'micro', None])
def test_scikit_learn_on_more_classes(random, average):
    sklearn = pytest.importorskip('sklearn.metrics')
    labels, preds = batches(random, number=4)
    flat, guess = labels.ravel(), preds.argmax(-1).ravel()
    mine = metric.F1(class_type='multiclass', average=average)
    np.testing.assert_allclose(fed(mine, labels, preds), sklearn.f1_score(flat, guess, average=average), rtol=1e-12)
    mine = metric.Fbeta(class_type='multilabel', average=average, beta=2, threshold=[0.2, 0.3, 0.1, 0.3])
    labels = random.randint(0, 2, preds.shape)
    guess = (preds > np.float32([0.2, 0.3, 0.1, 0.3])).reshape(-1, 4)
    expected = sklearn.fbeta_score(labels.reshape(-1, 4), guess, beta=2, average=average)
    np.testing.assert_allclose(fed(mine, labels, preds), expected, rtol=1e-12)
    if average == 'macro':
        labels, preds = batches(random, number=4)
        expected = sklearn.matthews_corrcoef(labels.ravel(), preds.argmax(-1).ravel())
        np.testing.assert_allclose(fed(metric.PCC(), labels, preds), expected, rtol=1e-12)
        expected = sklearn.top_k_accuracy_score(labels.ravel(), preds.reshape(-1, 4), k=3)
        np.testing.assert_allclose(fed(metric.TopKAccuracy(3), labels, preds), expected, rtol=1e-12)


@pytest.mark.parametrize('far', [0, 1e3, 1e6])
def test_scipy_far_from_zero(random, far):
    stats = pytest.importorskip('scipy.stats')
    labels = (random.randn(6, 50) + far + np.arange(6)[:, None]).astype('float32')
    preds = (labels + 3 * random.randn(6, 50)).astype('float32')
    expected = stats.pearsonr(labels.ravel().astype('float64'), preds.ravel().astype('float64')).statistic
    mine = metric.PearsonCorrelation(average='micro')
    np.testing.assert_allclose(fed(mine, labels, preds), expected, rtol=1e-6)


def test_numpy(random):
    labels, preds = random.randn(2, 3, 7, 2).astype('float32')
    apart = (labels - preds).astype('float64')
    for mine, expected in [
        (metric.MAE(average='micro'), abs(apart).mean()),
        (metric.MSE(average='micro'), (apart**2).mean()),
        (metric.RMSE(average='micro'), math.sqrt((apart**2).mean())),
    ]:
        np.testing.assert_allclose(fed(mine, labels, preds), expected, rtol=1e-6)
    logits, classes = random.randn(2, 4, 5, 3).astype('float32') * 50, random.randint(-1, 5, (2, 4, 3))
    mine = metric.CrossEntropy(from_logits=True, axis=1, ignore_label=-1)
    logp = logits - np.log(np.exp(logits.astype('float64')).sum(2, keepdims=True))
    chosen = np.take_along_axis(logp, np.maximum(classes, 0)[:, :, None], 2)[:, :, 0]
    np.testing.assert_allclose(fed(mine, classes, logits), -chosen[classes >= 0].mean(), rtol=1e-6)


# Nothing is lost.


@pytest.mark.optimized
def test_counts_are_exact_beyond_what_float32_counts():
    pure, batch = metric.Accuracy().pure, 10_007
    labels, right = jnp.zeros(batch, 'int32'), jnp.arange(batch) % 3

    def step(state, _):
        return pure.update(state, labels, right), None

    rounds = 3500
    state = jax.jit(lambda state: jax.lax.scan(step, state, length=rounds)[0])(pure.init())
    assert float(double_float.value(np.asarray(state['seen']))) == rounds * batch > 3e7
    assert float(double_float.value(np.asarray(state['sum']))) == rounds * 3336
    assert pure.result(state) == 3336 / batch


@pytest.mark.optimized
def test_sums_are_exact_up_to_2_to_the_47():
    a, b = 2**47 - 2**24 - 3, 2**24 - 5

    def pair(n):
        return jnp.asarray([np.float32(n), n - int(np.float32(n))], 'float32')

    assert float(double_float.value(np.asarray(jax.jit(double_float.add)(pair(a), pair(b))))) == a + b


@pytest.mark.optimized
def test_means_keep_their_digits():
    loss, values = metric.Loss(), np.linspace(0, 0.3, 1001, dtype='float32')

    def step(carry, _):
        state, naive = carry
        return (loss.pure.update(state, None, values), naive + values.sum()), None

    rounds = 20_000
    state, naive = jax.jit(lambda: jax.lax.scan(step, (loss.pure.init(), jnp.float32(0)), length=rounds)[0])()
    loss.state = state
    expected = values.astype('float64').mean()
    assert abs(loss.get()[1] / expected - 1) < 1e-7
    assert abs(float(naive) / (rounds * values.size) / expected - 1) > 1e-5  # what one float32 makes of it


def test_infinite_losses_stay_infinite():
    loss = metric.Loss()
    loss.update(None, np.float32([1, np.inf]))
    loss.update(None, np.float32([1, 2]))
    assert loss.get()[1] == math.inf
    loss.update(None, np.float32([np.nan]))
    assert math.isnan(loss.get()[1])


# The pure form.

COUNT = 24


def many_definitions():
    """name -> (definition, labels, preds), of COUNT samples."""
    random = np.random.RandomState(0)
    binary, classes = random.randint(0, 2, COUNT), random.randint(0, 4, COUNT)
    two, four = (random.dirichlet(np.ones(n), COUNT).astype('float32') for n in (2, 4))
    numbers, others = random.randn(2, COUNT, 3).astype('float32')
    table = {
        'accuracy': (metric.Accuracy(), classes, four),
        'top': (metric.TopKAccuracy(2), classes, four),
        'binary_accuracy': (metric.BinaryAccuracy(), binary, two[:, 1]),
        'f1': (metric.F1(average='micro'), binary, two),
        'f1_classes': (metric.F1(class_type='multiclass', average=None, num_classes=4), classes, four),
        'f1_labels': (metric.F1(class_type='multilabel', average='macro', num_classes=4), (four > 0.4) * 1, four[::-1]),
        'fbeta': (metric.Fbeta(beta=2), binary, two),
        'mcc': (metric.MCC(average='micro'), binary, two),
        'pcc': (metric.PCC(num_classes=4), classes, four),
        'ce': (metric.CrossEntropy(), classes, four),
        'nll': (metric.NegativeLogLikelihood(), classes, four),
        'perplexity': (metric.Perplexity(2), classes, four),
        'loss': (metric.Loss(), numbers, others),
        'composite': (metric.CompositeEvalMetric(['acc', 'pcc', metric.MCC(average='micro')]), binary, two),
    }
    for name in ('MAE', 'MSE', 'RMSE', 'PearsonCorrelation'):
        table[name] = getattr(metric, name)(average='micro'), numbers, others
    return {
        name: (mine.pure.for_batch(labels, preds), jnp.asarray(labels), jnp.asarray(preds))
        for name, (mine, labels, preds) in table.items()
    }


MANY = many_definitions()
PER_BATCH = {
    f'{name} of batches': (getattr(metric, cls)().pure, *MANY[name][1:])
    for name, cls in {
        'f1': 'F1',
        'mcc': 'MCC',
        'MAE': 'MAE',
        'RMSE': 'RMSE',
        'PearsonCorrelation': 'PearsonCorrelation',
    }.items()
}
WHOLE = jnp.ones(COUNT, bool)


@jax.jit
def after(masks, order):
    """The states of all definitions after the samples of each mask in turn, and each mask's states merged."""
    states, merged = {}, {}
    for name, (definition, labels, preds) in MANY.items():
        labels, preds = labels[order], preds[order]
        fresh = definition.init()

        def update(state, mask, definition=definition, labels=labels, preds=preds):
            return definition.update(state, labels, preds, mask)

        states[name] = jax.lax.scan(lambda state, mask, update=update: (update(state, mask), None), fresh, masks)[0]
        merged[name] = definition.merge_all(jax.vmap(update, (None, 0))(fresh, masks))
    return states, merged


def results(states, table=MANY):
    return {name: np.asarray(table[name][0].result(state)) for name, state in states.items()}


def assert_equal_results(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=2e-6, atol=2e-7, err_msg=name)


@functools.cache
def of_the_whole():
    return results({name: d.update(d.init(), labels, preds) for name, (d, labels, preds) in MANY.items()})


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=COUNT, max_size=COUNT), st.permutations(range(COUNT)))
def test_any_split_in_any_order_gives_the_same(parts, order):
    masks = jnp.asarray(parts).reshape(1, COUNT) == jnp.arange(4).reshape(4, 1)
    sequential, merged = after(masks, jnp.asarray(order))
    assert_equal_results(results(sequential), of_the_whole())
    assert_equal_results(results(merged), of_the_whole())


@jax.jit
def all_updated(states, inputs, mask):
    table = MANY | PER_BATCH
    return {name: table[name][0].update(state, *inputs[name], mask) for name, state in states.items()}


@pytest.mark.parametrize('seed', [0, 1])
def test_a_mask_leaves_samples_out(seed):
    """Whatever they are."""
    mask = np.random.RandomState(seed).permutation(COUNT) < 11
    table = MANY | PER_BATCH

    def spoiled(x):
        return x if x.dtype == bool else np.where(mask.reshape(-1, *[1] * (x.ndim - 1)), x, broken(x.dtype))

    def broken(dtype):
        return np.array(99 if np.issubdtype(dtype, np.integer) else np.nan, dtype)

    fresh = {name: definition.init() for name, (definition, *_) in table.items()}
    whole = {name: jax.tree.map(np.asarray, inputs) for name, (_, *inputs) in table.items()}
    masked = all_updated(fresh, jax.tree.map(spoiled, whole), mask)
    nothing = all_updated(masked, whole, np.zeros(COUNT, bool))
    jax.tree.map(np.testing.assert_array_equal, nothing, masked)
    without = all_updated(fresh, jax.tree.map(lambda x: x[mask], whole), None)
    assert_equal_results(results(masked, table), results(without, table))


def test_compute_in_a_program_is_what_the_host_computes():
    table = MANY | PER_BATCH
    states = {name: _update(d, d.init(), labels, preds, None) for name, (d, labels, preds) in table.items()}
    values = jax.jit(lambda states: {name: table[name][0].compute(state) for name, state in states.items()})(states)
    assert_equal_results(
        jax.tree.map(np.asarray, {k: jnp.stack(v) if isinstance(v, tuple) else v for k, v in values.items()}),
        results(states, table),
    )


def test_devices_add_up_to_one():
    """Each of eight devices sees three samples; what `pmerge` gives is the same on each, as the out_specs promise."""
    mesh = jax.make_mesh((8,), ('devices',), axis_types=(jax.sharding.AxisType.Auto,))
    shared, split = PartitionSpec(), PartitionSpec('devices')
    inputs = {name: rest for name, (_, *rest) in MANY.items()}

    def of_shards(inputs):
        states = {name: MANY[name][0].update(MANY[name][0].init(), *rest) for name, rest in inputs.items()}
        return {name: MANY[name][0].pmerge(state, 'devices') for name, state in states.items()}

    states = jax.jit(jax.shard_map(of_shards, mesh=mesh, in_specs=split, out_specs=shared))(inputs)
    assert_equal_results(results(states), of_the_whole())
    sharded = jax.device_put(inputs, jax.sharding.NamedSharding(mesh, split))
    mine = metric.Accuracy()
    mine.update(*sharded['accuracy'])
    mine.update(*sharded['accuracy'])
    np.testing.assert_allclose(mine.get()[1], of_the_whole()['accuracy'])


# The stateful form.


def test_an_update_waits_for_nothing(monkeypatch):
    """Nobody looks at an array's values before `get`."""
    table = {name: (metric.DeviceMetric(case[0], name), *case[1:]) for name, case in (MANY | PER_BATCH).items()}

    def refused(*_):
        raise RuntimeError('waited')

    array = type(jnp.ones(1))
    with monkeypatch.context() as patch:
        patch.setattr(array, '_value', property(refused))
        patch.setattr(array, 'block_until_ready', refused)
        for mine, labels, preds in table.values():
            mine.update(labels, preds)
            mine.update(labels, preds)
        for look in (float, bool, jax.device_get):
            with pytest.raises(RuntimeError, match='waited'):
                look(table['accuracy'][2][0, 0])
    found = results({name: mine.state for name, (mine, *_) in table.items()}, MANY | PER_BATCH)
    np.testing.assert_allclose(found['accuracy'], of_the_whole()['accuracy'])


def test_reset_and_what_is_told_globally():
    mine = metric.Accuracy()
    assert math.isnan(mine.get()[1])
    mine.update(np.array([0, 1]), np.array([0, 1]))
    mine.reset_local()
    assert math.isnan(mine.get()[1])
    mine.update(np.array([0, 1]), np.array([1, 0]))
    assert (mine.get()[1], mine.get_global()[1]) == (0, 0.5)
    mine.reset()
    assert math.isnan(mine.get_global()[1])
    assert mine.get_name_value()[0][0] == 'accuracy'
    assert str(mine).startswith("EvalMetric: {'accuracy'")


def test_update_dict_takes_what_is_named():
    labels, preds = {'a': np.array([1]), 'b': np.array([0])}, {'x': np.array([0]), 'y': np.array([0])}
    mine = metric.Accuracy(label_names=['b'], output_names=['y'])
    mine.update_dict(labels, preds)
    assert mine.get() == ('accuracy', 1)
    everything = metric.Accuracy()
    everything.update_dict(labels, preds)
    assert everything.get() == ('accuracy', 0.5)


def test_names_select_in_the_pure_form_too():
    """As in a Trainer whose network returns a dict."""
    labels, preds = {'a': jnp.array([1]), 'b': jnp.array([0])}, {'x': jnp.array([0]), 'y': jnp.array([0])}
    for mine, expected in (
        (metric.Accuracy(label_names=['b'], output_names=['y']), 1),
        (metric.Accuracy(label_names=['a'], output_names=['y']), 0),
        (metric.Accuracy(label_names=['a', 'b'], output_names=['x', 'y']), 0.5),
    ):
        pure = mine.pure
        assert pure == mine.pure
        assert hash(pure) == hash(mine.pure)
        state = jax.jit(pure.update)(pure.init(), labels, preds)
        assert pure.compute(pure.merge(state, pure.init())) == pure.result(state) == expected
        mine.update(labels, preds)
        assert mine.get()[1] == expected
    named = metric.PCC(output_names=['y'])
    pure = named.pure.for_batch(jnp.array([1]), {'x': jnp.zeros((1, 5)), 'y': jnp.zeros((1, 3))})
    assert pure.init()['confusion'].shape == (2, 3, 3)
    for preds in (jnp.zeros((1, 3)), {'z': jnp.zeros((1, 3))}):
        with pytest.raises(ArgumentError, match=r"output_names=\['y'\] selects by name"):
            named.pure.for_batch(jnp.array([1]), preds)


def test_more_classes_after_a_reset():
    mine = metric.PCC()
    mine.update(np.array([0, 1]), np.eye(2, dtype='float32'))
    mine.reset()
    mine.update(np.array([0, 1, 2]), np.eye(3, dtype='float32'))
    assert mine.get() == ('pcc', 1)
    f1 = metric.F1(class_type='multiclass', average='micro')
    f1.update(np.array([0, 1]), np.eye(2, dtype='float32'))
    f1.reset()
    f1.update(np.array([0, 1, 2]), np.eye(3, dtype='float32'))
    assert f1.get() == ('f1', 1)


@pytest.mark.parametrize('dtype', ['bfloat16', 'float16', 'int32'])
def test_strict_promotion(dtype):
    labels, rows, numbers = jnp.array([0, 1, 1], 'int8'), jnp.eye(3, 2).astype(dtype), jnp.arange(3).astype(dtype)
    cases = [
        *((make(), rows) for make in (metric.Accuracy, metric.F1, metric.MCC, metric.PCC, metric.CrossEntropy)),
        (metric.TopKAccuracy(2), rows),
        (metric.F1(class_type='multiclass', threshold=0.5), rows),
        (metric.Perplexity(-1), rows),
        *((make(), numbers) for make in (metric.MAE, metric.RMSE, metric.BinaryAccuracy, metric.Loss)),
        (metric.PearsonCorrelation('pearson', average='micro'), numbers),
    ]
    with jax.numpy_dtype_promotion('strict'):
        for mine, preds in cases:
            mine.update(labels, preds)
            mine.update(labels, preds, mask=jnp.array([True, True, False]))
            pure = mine.pure
            assert np.isfinite(pure.compute(mine.state)), mine
            np.testing.assert_allclose(pure.compute(mine.state), mine.get()[1], rtol=1e-5, err_msg=str(mine))


def test_composite_and_custom_metrics():
    both = metric.create(['acc', lambda label, pred: float((label - pred).sum())])
    both.update(np.array([1, 0]), np.array([1, 1]))
    assert both.get() == (['accuracy', 'custom(<lambda>)'], [0.5, -1])
    both.update(np.array([1, 0]), np.array([0, 0]), mask=np.array([False, True]))
    assert both.get() == (['accuracy', 'custom(<lambda>)'], [2 / 3, -0.5])
    with pytest.raises(TransformationError, match='runs in Python on the host'):
        _ = both.pure
    assert both.get_metric(0).get()[0] == 'accuracy'
    with pytest.raises(ArgumentError, match='no such metric'):
        both.get_metric(2)
    both.reset()
    assert math.isnan(both.get()[1][0])


def test_copies_do_not_share_what_they_have_seen():
    mine = metric.F1()
    mine.update(np.array([1, 0]), np.array([1.0, 0.0]))
    for other in (copy.deepcopy(mine), pickle.loads(pickle.dumps(mine))):
        assert other.get() == mine.get() == ('f1', 1)
        other.update(np.array([1, 0]), np.array([0.0, 0.0]))
        assert other.get()[1] == 0.5
        assert mine.get()[1] == 1


def test_a_state_goes_into_a_compiled_loop_and_back():
    mine = metric.Accuracy()

    @jax.jit
    def epoch(state, labels, preds):
        return jax.lax.scan(lambda state, xy: (mine.pure.update(state, *xy), None), state, (labels, preds))[0]

    labels = np.array([[0, 1], [1, 1]])
    mine.state = epoch(mine.state, labels, np.zeros_like(labels))
    assert mine.get()[1] == 0.25


def test_half_precision_is_summed_in_single():
    for dtype in ('float16', 'bfloat16'):
        loss = metric.Loss()
        loss.update(None, jnp.full(70_000, 1, dtype))
        assert loss.get()[1] == 1


# Errors.

ONES, CLASSES = np.ones(3, 'int32'), np.ones((3, 2), 'float32')


@pytest.mark.parametrize(
    ('make', 'labels', 'preds', 'match'),
    [
        (metric.Accuracy, np.ones(4, 'int32'), CLASSES, r'one predicted class for each label[\s\S]*\(4,\)[\s\S]*\(3'),
        (metric.Accuracy, np.ones((3, 4), 'int32'), np.ones((3, 4, 5), 'float32'), r'try: metric.Accuracy\(axis=-1\)'),
        (metric.Accuracy, [ONES, ONES], [CLASSES], r'2 of labels, 1 of predictions\n.*np.asarray\(labels\)'),
        (metric.Accuracy, ONES, (CLASSES, CLASSES), r'1 of labels, 2 of predictions\n.*Accuracy\(output_names=\[0\]\)'),
        (metric.Accuracy, ONES, np.ones((), 'float32'), 'axis 1 of classes'),
        (lambda: metric.TopKAccuracy(2), ONES, np.ones(3, 'float32'), r'shape \(batch, classes\)'),
        (metric.BinaryAccuracy, ONES, CLASSES, 'one prediction for each label'),
        (metric.MSE, np.ones((3, 1), 'float32'), np.ones((1, 3), 'float32'), 'equal shapes'),
        (metric.F1, ONES, np.ones((2, 2), 'float32'), 'one predicted class for each label'),
        (metric.CrossEntropy, np.ones(2, 'int32'), CLASSES, r'labels of shape \(2,\)'),
    ],
)
def test_shapes_that_do_not_fit(make, labels, preds, match):
    mine = make()
    mine.update(ONES, np.ones(3, 'float32')) if mine.name in ('mse', 'binary_accuracy') else None
    before = mine.get_global()
    with pytest.raises(ShapeError, match=match):
        mine.update(labels, preds)
    np.testing.assert_equal(mine.get_global(), before)


def test_wrong_masks():
    for mask in (np.ones(2, bool), np.ones(3, 'int32')):
        with pytest.raises(ShapeError, match=r'mask does not fit the labels[\s\S]*shape \(batch,\)'):
            metric.Accuracy().update(ONES, CLASSES, mask=mask)


def test_wrong_arguments():
    with pytest.raises(ArgumentError, match=r"no metric is named 'nonsense'[\s\S]*'accuracy'"):
        metric.create('nonsense')
    for call in (
        lambda: metric.create(3),
        lambda: metric.create(metric.F1(), average='micro'),
        lambda: metric.TopKAccuracy(),
        lambda: metric.F1(average='weird'),
        lambda: metric.F1(class_type='weird'),
        lambda: metric.MCC(average=None),
        lambda: metric.PCC().pure.init(),
        lambda: metric.register(int),
        lambda: metric.Fbeta(beta='x'),
        lambda: metric.BinaryAccuracy(threshold=[0.5, 'x']),
        lambda: metric.CrossEntropy(eps=float('nan')),
        lambda: metric.NegativeLogLikelihood(eps=-1),
        lambda: metric.Perplexity(ignore_label='x'),
        lambda: metric.CustomMetric(3),
    ):
        with pytest.raises(ArgumentError):
            call()


def test_updates_inside_a_transformation_name_the_pure_form():
    mine = metric.Accuracy()
    with pytest.raises(TransformationError, match=r'traced value[\s\S]*pure.update'):
        jax.jit(lambda labels: mine.update(labels, ONES))(ONES)
    assert math.isnan(mine.get()[1])
