"""The pure step: against loops written by hand, and against what its options mean."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gluonjax import Layer, Param, errors, loss, make_step, metric, nn, rnn
from gluonjax.data.batching import padded
from gluonjax.layer import declarations_of
from gluonjax.run import Run
from gluonjax.selection import merge
from gluonjax.train.state import Totals
from gluonjax.tree import flatten

CE = loss.SoftmaxCELoss()


def batch_of(rows=8, inputs=4, classes=3, seed=0):
    random = np.random.RandomState(seed)
    return random.standard_normal((rows, inputs)).astype('float32'), random.randint(0, classes, rows)


def mlp(*between):
    return nn.Sequential(nn.Dense(5, activation='tanh'), *between, nn.Dense(3)).definition


def assert_close(got, expected, **tolerance):
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, **{'rtol': 1e-5, 'atol': 1e-6, **tolerance}), got, expected
    )


def by_hand(layer, optimizer, params, key, batches):
    """What a user would write: losses, the last params."""

    def objective(trained, rest, x, y, key):
        out, news = layer.apply_train(merge(trained, rest), x, key=key)
        return optax.softmax_cross_entropy_with_integer_labels(out, y).mean(), news

    @jax.jit
    def step(params, state, x, y, key):
        trained, rest = layer.partition(params)
        (value, news), gradient = jax.value_and_grad(objective, has_aux=True)(trained, rest, x, y, key)
        updates, state = optimizer.update(gradient, state, trained)
        return merge(optax.apply_updates(trained, updates), layer.partition(news)[1]), state, value

    state, losses = optimizer.init(layer.partition(params)[0]), []
    for x, y in batches:
        key, now = jax.random.split(key)
        params, state, value = step(params, state, x, y, now)
        losses.append(float(value))
    return losses, params


def test_a_step_is_what_one_writes_by_hand():
    layer, optimizer = mlp(nn.BatchNorm(), nn.Dropout(0.4)), optax.adam(0.05)
    batches = [batch_of(seed=seed) for seed in range(4)]
    step = make_step(layer, CE, optimizer)
    state = step.init(7, batches[0], init='xavier')
    losses, params = by_hand(layer, optimizer, state.params, state.key, batches)
    compiled, ours = jax.jit(step), []
    for batch in batches:
        state, metrics = compiled(state, batch)
        ours.append(float(metrics['loss']))
    np.testing.assert_allclose(ours, losses, rtol=1e-5)
    assert_close(state.params, params)
    assert len(set(losses)) == 4


def test_padding_does_not_count():
    layer = mlp(nn.BatchNorm())
    step = make_step(layer, CE, 'sgd', {'learning_rate': 0.5}, metrics=[metric.Accuracy(), metric.CrossEntropy()])
    x, y = batch_of(5)
    state = step.init(0, (x, y), init='xavier')
    small, small_metrics = jax.jit(step)(state, (x, y))
    full, mask = padded((x, y), 8)
    big, big_metrics = jax.jit(step)(state, full, mask)
    assert full[0].shape == (8, 4)
    assert_close(big.params, small.params)
    assert_close(big_metrics, small_metrics)
    assert_close(big.metrics, small.metrics)
    without_mask, _ = step(state, full)
    assert abs(without_mask.params['1']['running_mean'] - small.params['1']['running_mean']).max() > 1e-3


@pytest.mark.parametrize(
    'layer', [nn.BatchNorm(0), nn.Sequential(nn.Lambda(lambda x: x.reshape(-1, 2)), nn.BatchNorm())]
)
def test_a_layer_that_cannot_tell_the_padding_says_so(layer):
    step = make_step(nn.Sequential(layer, nn.Lambda(lambda x: x.reshape(8, -1)), nn.Dense(3)), CE)
    full, mask = padded(batch_of(5), 8)
    state = step.init(0, full)
    with pytest.raises(errors.BatchMaskError, match=r"(?s)padding.*last_batch='keep'"):
        step(state, full, mask)


def test_synchronized_statistics_leave_padding_out():
    layer = nn.SyncBatchNorm(axis_name='parts')
    x = np.random.RandomState(0).standard_normal((2, 4, 3)).astype('float32')
    mask = np.array([[True] * 4, [True, False, False, False]])
    params = layer.init(0, x[0])

    def part(x, mask):
        run = Run(declarations_of(layer), flatten(params), training=True, mask=mask)
        return run(layer, (x,), {}), run.recorded

    y, recorded = jax.vmap(part, out_axes=(0, None), axis_name='parts')(x, mask)
    kept = x[mask]
    np.testing.assert_allclose(recorded['running_mean'], 0.1 * kept.mean(0), rtol=1e-5)
    np.testing.assert_allclose(y[mask], (kept - kept.mean(0)) / np.sqrt(kept.var(0) + 1e-5), rtol=1e-4, atol=1e-5)


def test_bfloat16_computes_in_half_and_keeps_parameters_whole():
    layer, batch = mlp(nn.BatchNorm()), batch_of(64)
    whole, half = (make_step(layer, CE, optax.sgd(0.1), precision=p) for p in (None, 'bfloat16'))
    state = whole.init(0, batch, init='xavier')
    products = [e for e in jax.make_jaxpr(half)(state, batch).jaxpr.eqns if 'bf16' in str(e)]
    assert any('dot_general' in str(e) for e in products)
    exact, exact_metrics = jax.jit(whole)(state, batch)
    rough, rough_metrics = jax.jit(half)(state, batch)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(rough.params)} == {'float32'}
    np.testing.assert_allclose(rough_metrics['loss'], exact_metrics['loss'], rtol=2e-2)
    assert_close(rough.params, exact.params, rtol=5e-2, atol=5e-3)
    assert rough_metrics['loss'] != exact_metrics['loss']


def test_inference_in_half_precision_keeps_running_statistics_whole():
    x = np.ones((2, 1), 'float32')
    step = make_step(nn.BatchNorm(epsilon=0), loss.L2Loss(), precision='bfloat16')
    params = {'gamma': [1.0], 'beta': [0.0], 'running_mean': [1.001], 'running_var': [1e-6]}  # 1.001 is 1 in bfloat16
    out = step.infer({name: jnp.array(value) for name, value in params.items()}, (x,), {})
    np.testing.assert_allclose(out, [[-1], [-1]], rtol=1e-2)


def test_float16_scales_the_loss_and_passes_over_what_overflows():
    x, y = np.ones((2, 1), 'float32'), np.zeros((2, 1), 'float32')
    step = make_step(nn.Dense(1, use_bias=False), loss.L2Loss(), optax.sgd(0.5), precision='float16')
    state, step = step.init(0, (x, y), init='ones'), jax.jit(step)
    assert state.scale.value == 2**15
    news, _ = step(state, (x, y))
    np.testing.assert_allclose(news.params['weight'], [[0.5]], rtol=1e-3)  # w - 0.5 * w
    assert (news.scale.value, news.scale.good) == (2**15, 1)
    over, _ = step(state, (x * 300, y))  # 300 * 300 * 2**15 is beyond float16
    assert (over.params['weight'], over.scale.value, over.scale.good) == (1, 2**14, 0)
    ready = state._replace(scale=state.scale._replace(good=jnp.int32(state.scale.GROWTH - 1)))
    grown, _ = step(ready, (x, y))
    assert (grown.scale.value, grown.scale.good) == (2**16, 0)


def test_float16_keeps_gradients_that_would_vanish():
    layer, x, y = nn.Dense(1, use_bias=False), np.full((1, 1), 1e-4, 'float32'), np.zeros((1, 1), 'float32')
    step = make_step(layer, loss.L2Loss(), optax.sgd(1e6), precision='float16')
    state = step.init(0, (x, y), init='ones')
    news, _ = step(state, (x, y))  # the gradient, 1e-8, is 0 in float16
    np.testing.assert_allclose(news.params['weight'], [[1 - 1e6 * 1e-8]], rtol=1e-3)


def test_accumulated_parts_make_one_step_of_the_whole():
    layer, (x, y) = mlp(), batch_of(8)
    whole, in_parts = make_step(layer, CE, optax.adam(0.1)), make_step(layer, CE, optax.adam(0.1), accumulate=2)
    start = whole.init(0, (x, y), init='xavier').params
    expected, _ = whole(whole.init(0, (x, y), params=start), (x, y))
    state = in_parts.init(0, (x, y), params=start)
    state, _ = in_parts(state, (x[:4], y[:4]))
    assert_close(state.params, start, rtol=0, atol=0)
    state, _ = in_parts(state, (x[4:], y[4:]))
    assert_close(state.params, expected.params)


@pytest.mark.parametrize('mask', [None, np.array([1, 1, 1, 0, 1, 0, 0, 0], bool)])
def test_micro_batches_make_the_step_of_the_whole(mask):
    layer, batch = mlp(), batch_of(8)
    options = {'metrics': [metric.Accuracy(), metric.CrossEntropy(from_logits=True)]}
    whole, in_parts = (make_step(layer, CE, 'adam', micro_batches=n, **options) for n in (1, 2))
    state = whole.init(0, batch, init='xavier')
    expected, output = whole.with_output(state, batch, mask)[::2]
    news, _, rejoined = jax.jit(in_parts.with_output)(state, batch, mask)
    assert_close(
        (news.params, news.metrics, news.totals, rejoined), (expected.params, expected.metrics, expected.totals, output)
    )


def test_micro_batches_have_statistics_of_their_own():
    layer, x = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm(momentum=0.5)).definition, batch_of(6)[0]
    step = make_step(layer, loss.L2Loss(), 'sgd', micro_batches=3)
    state = step.init(0, (x, x))
    news = jax.jit(step)(state, (x, x))[0]
    keys, means = jax.random.split(jax.random.split(state.key)[1], 3), np.zeros(x.shape[1])
    for part, key in enumerate(keys):
        recorded = layer.apply_train(state.params, x[part::3], key=key)[1]['1']['running_mean']
        means = means / 2 + recorded  # which began at zero
    np.testing.assert_allclose(news.params['1']['running_mean'], means, rtol=1e-5)


def test_batches_that_cannot_be_cut_into_micro_batches():
    step = make_step(nn.Dense(3), CE, micro_batches=3)
    batch = batch_of(8)
    with pytest.raises(errors.DataError, match=r'(?s)a multiple of 3 samples.*got: 8'):
        step(step.init(0, batch), batch)
    with pytest.raises(errors.ArgumentError, match='first axis'):
        make_step(rnn.LSTM(3), loss.L2Loss(), micro_batches=2)
    with pytest.raises(errors.ArgumentError, match=r'(?s)carry=.*accumulate=n'):
        make_step(nn.Dense(3), CE, micro_batches=2, carry=np.zeros(3))


def test_gradients_are_clipped_together():
    layer, batch = mlp(), batch_of()
    step = make_step(layer, CE, optax.sgd(1.0), clip_global_norm=1e-3)
    state = step.init(0, batch, init='xavier')
    news, _ = step(state, batch)
    moved = jax.tree.map(lambda new, old: new - old, news.params, state.params)
    length = np.sqrt(sum(np.square(leaf).sum() for leaf in jax.tree.leaves(moved)))
    np.testing.assert_allclose(length, 1e-3, rtol=1e-3)


def test_optimizers_that_ask_for_the_loss_search_along_it():
    layer, (x, y) = mlp(), batch_of()
    optimizer = optax.lbfgs()
    step = make_step(layer, CE, optimizer)
    state = step.init(0, (x, y), init='xavier')

    def objective(params):
        return optax.softmax_cross_entropy_with_integer_labels(layer.apply(params, x), y).mean()

    params, kept, compiled = state.params, optimizer.init(state.params), jax.jit(step)
    for _ in range(3):
        value, gradient = jax.value_and_grad(objective)(params)
        updates, kept = optimizer.update(gradient, kept, params, value=value, grad=gradient, value_fn=objective)
        params = optax.apply_updates(params, updates)
        state, metrics = compiled(state, (x, y))
        np.testing.assert_allclose(metrics['loss'], value, rtol=1e-5)
    assert_close(state.params, params, rtol=1e-3, atol=1e-4)


def test_an_optimizer_that_looks_at_curvature():
    """`optax.contrib.sophia` is given the loss; by hand as its documentation says."""
    optimizer = optax.contrib.sophia(0.1, update_interval=1)
    layer = nn.Dense(3, in_units=4)
    step = make_step(layer, CE, optimizer)
    x, y = jnp.eye(4), jnp.array([0, 1, 2, 0])
    state = step.init(0, (x, y))

    def loss_of(params):
        return CE(layer.apply(params, x), y).mean()

    updates, _ = optimizer.update(jax.grad(loss_of)(state.params), state.optimizer, state.params, obj_fn=loss_of)
    expected = optax.apply_updates(state.params, updates)
    state, _ = jax.jit(step)(state, (x, y))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), state.params, expected)


@pytest.mark.parametrize('options', [{}, {'accumulate': 2}, {'clip_global_norm': 1.0}])
def test_optimizers_that_ask_for_the_loss_get_it_through_options(options):
    optimizer = optax.chain(optax.sgd(0.0), optax.contrib.reduce_on_plateau(factor=0.5, patience=1))
    step, batch = make_step(mlp(), CE, optimizer, **options), batch_of()
    state, metrics = step.init(0, batch), {}
    for _ in range(6):
        state, metrics = step(state, batch)
    (best,) = [
        leaf for path, leaf in jax.tree.leaves_with_path(state.optimizer) if 'best_value' in jax.tree_util.keystr(path)
    ]
    np.testing.assert_allclose(best, metrics['loss'], rtol=1e-6)


@pytest.mark.parametrize('chained', [False, True])
def test_sam_descends_by_the_gradient_at_the_worst_parameters_nearby(chained):
    layer, (x, y) = nn.Dense(3, in_units=4, use_bias=False), batch_of()
    adversary = optax.chain(optax.contrib.normalize(), optax.sgd(0.05))
    sam = optax.contrib.sam(optax.sgd(0.1), adversary, opaque_mode=True)
    step = make_step(layer, CE, optax.chain(sam, optax.scale(0.5)) if chained else sam, clip_global_norm=1e6)
    state = step.init(0, (x, y), init='xavier')

    def gradient(weight):
        probabilities = jax.nn.softmax(x @ weight.T)
        return (probabilities - jax.nn.one_hot(y, 3)).T @ x / len(x)

    weight = state.params['weight']
    at_first = gradient(weight)
    expected = weight - (0.05 if chained else 0.1) * gradient(weight + 0.05 * at_first / jnp.linalg.norm(at_first))
    state, _ = step(state, (x, y))
    np.testing.assert_allclose(state.params['weight'], expected, rtol=1e-5, atol=1e-7)


def test_sam_in_two_steps():
    layer, batch = nn.Dense(3, in_units=4), batch_of()
    inner, adversary = optax.sgd(0.1), optax.chain(optax.contrib.normalize(), optax.sgd(0.05))
    opaque, transparent = (
        make_step(layer, CE, optax.contrib.sam(inner, adversary, opaque_mode=mode)) for mode in (True, False)
    )
    once, _ = opaque(opaque.init(0, batch), batch)
    twice, _ = transparent(transparent.init(0, batch), batch)
    twice, _ = transparent(twice, batch)
    assert_close(once.params, twice.params, rtol=1e-5, atol=1e-7)


def test_what_is_evaluated_elsewhere_is_not_accumulated():
    step = make_step(nn.Dense(3, in_units=4), CE, optax.lbfgs(), accumulate=2)
    with pytest.raises(errors.ArgumentError, match=r'(?s)at other parameters.*try: accumulate=1'):
        jax.eval_shape(step, step.init(0, batch_of()), batch_of())


@pytest.mark.parametrize('beside', [lambda losses: (losses, losses), lambda losses: {'loss': losses}, lambda _: None])
def test_a_loss_gives_one_array(beside):
    step = make_step(nn.Dense(3, in_units=4), lambda output, label: beside(output.mean(1)))
    with pytest.raises(errors.ArgumentError, match=r'(?s)gives one array.*got: (tuple|dict|NoneType).*metrics='):
        jax.eval_shape(step, step.init(0, batch_of()), batch_of())


def test_the_moving_average():
    layer, batch = mlp(nn.BatchNorm()), batch_of()
    step = make_step(layer, CE, optax.sgd(0.1), average=0.75)
    state = step.init(0, batch, init='xavier')
    expected = layer.partition(state.params)[0]
    for _ in range(3):
        state, _ = step(state, batch)
        expected = jax.tree.map(lambda a, p: 0.75 * a + 0.25 * p, expected, layer.partition(state.params)[0])
    assert_close(state.average, expected)


def test_remat_computes_the_same():
    layer, batch = mlp(nn.BatchNorm(), nn.Dropout(0.5)), batch_of()
    plain, again = make_step(layer, CE, optax.sgd(0.1)), make_step(layer, CE, optax.sgd(0.1), remat=True)
    policy = make_step(layer, CE, optax.sgd(0.1), remat='dots')
    assert policy.remat is make_step(layer, CE, remat=jax.checkpoint_policies.dots_saveable).remat
    assert make_step(layer, CE, remat='nothing').remat is True
    with pytest.raises(errors.ArgumentError, match=r"(?s)remat is no policy.*'dots'.*got: 'dot'"):
        make_step(layer, CE, remat='dot')
    state = plain.init(0, batch, init='xavier')
    expected, metrics = plain(state, batch)
    for step in (again, policy):
        news, others = step(state, batch)
        assert_close((news.params, others), (expected.params, metrics))
    assert 'remat' in str(jax.make_jaxpr(again)(state, batch)) or 'checkpoint' in str(
        jax.make_jaxpr(again)(state, batch)
    )


def test_a_step_that_is_not_finite_changes_nothing_if_asked():
    layer, (x, y) = mlp(nn.BatchNorm()), batch_of()
    step = jax.jit(make_step(layer, CE, optax.adam(0.1), skip_nonfinite=True))
    state = make_step(layer, CE, optax.adam(0.1)).init(0, (x, y), init='xavier')
    bad, metrics = step(state, (np.where(np.arange(4) == 1, np.nan, x), y))
    assert np.isnan(metrics['loss'])
    assert_close(bad.params, state.params, rtol=0, atol=0)
    assert_close(bad.optimizer, state.optimizer, rtol=0, atol=0)
    good, _ = step(state, (x, y))
    assert np.abs(good.params['0']['weight'] - state.params['0']['weight']).max() > 0.01


class Frozen(Layer):
    def __init__(self):
        self.scale = Param((3,), init='ones', trainable=False)

    def forward(self, x):
        return x * self.scale[None]


@pytest.mark.parametrize(
    ('objective', 'good', 'bad'),
    [
        (CE, [0, 2, 1], [0, 3, 1]),
        (CE, [0, 2, 1], [0, 2, -1]),
        (CE, [0.0, 2.0, 1.0], [0.5, 2.0, 1.0]),
        (loss.SigmoidBCELoss(), np.full((3, 3), 0.5), np.eye(3) * 1.5),
        (loss.LogisticLoss(), np.ones((3, 3)), np.eye(3)),
        (loss.LogisticLoss(label_format='binary'), np.eye(3), -np.eye(3)),
    ],
)
def test_labels_that_the_loss_does_not_take(objective, good, bad):
    step = make_step(mlp(), objective, 'sgd', {'learning_rate': 1.0})
    x, good, bad = np.eye(3, 4, dtype='float32'), np.asarray(good), np.asarray(bad)
    state = step.init(0, (x, good), init='xavier')
    assert np.isfinite(jax.jit(step)(state, (x, good))[1]['loss'])
    moved, metrics = jax.jit(step)(state, (x, bad))
    assert np.isnan(metrics['loss'])
    # those samples move nothing, and as padding they do not matter
    mask = np.all(good == bad, axis=tuple(range(1, bad.ndim)))
    alone, metrics = jax.jit(step)(state, (x, bad), mask)
    if mask.any():
        expected, _ = jax.jit(step)(state, (x[mask], good[mask]))
        assert_close(alone.params, expected.params)
        part = jax.tree.map(lambda new, old: (new - old) / mask.mean() + old, moved.params, state.params)
        assert_close(part, expected.params)
    else:
        assert_close(moved.params, state.params, rtol=0, atol=0)


def test_totals_are_sums_over_samples():
    step = make_step(mlp(), CE, 'sgd', {'learning_rate': 0.1})
    batches = [batch_of(rows, seed=rows) for rows in (1, 5, 3)]
    state, values = step.init(0, batches[0], init='xavier'), []
    for batch in batches:
        state, metrics = step(state, batch)
        values.append(float(metrics['loss']))
    totals = Totals.of(state)
    np.testing.assert_allclose(totals.mean, np.average(values, weights=[1, 5, 3]), rtol=1e-6)
    assert totals.samples == 9


def test_totals_lose_nothing_over_many_steps():
    step, x = make_step(mlp(), lambda out, label: label, 'sgd', {'learning_rate': 0.0}), np.ones((1, 4), 'float32')
    values = np.random.RandomState(0).uniform(0, 1, (20000, 1)).astype('float32')
    state = step.init(0, (x, values[0]))
    state, _ = jax.jit(lambda state: jax.lax.scan(lambda s, y: (step(s, (x, y))[0], None), state, values))(state)
    totals = Totals.of(state)
    np.testing.assert_allclose(totals.loss, values.astype('float64').sum(), rtol=1e-12)
    assert totals.samples == 20000


def test_what_is_not_trained_has_no_state_and_stays():
    layer, batch = nn.Sequential(nn.Dense(3), Frozen()).definition, batch_of()
    step = make_step(layer, CE, optax.sgd(0.1, momentum=0.9))
    state = step.init(0, batch)
    assert sorted(flatten(state.optimizer[0].trace)) == ['0.bias', '0.weight']
    news, _ = step(state, batch)
    np.testing.assert_array_equal(news.params['1']['scale'], np.ones(3))
    assert news.params['1']['scale'] is state.params['1']['scale']


def test_tied_parameters_have_one_update():
    dense = nn.Dense(4, use_bias=False, activation='tanh')
    layer, (x, y) = nn.Sequential(dense, dense).definition, batch_of(classes=4)
    step = make_step(layer, CE, optax.sgd(1.0, momentum=0.9))
    state = step.init(0, (x, y), init='xavier')
    assert list(flatten(state.optimizer[0].trace)) == ['0.weight']

    def objective(w):
        out = jnp.tanh(jnp.tanh(x @ w.T) @ w.T)
        return optax.softmax_cross_entropy_with_integer_labels(out, y).mean()

    news, _ = step(state, (x, y))
    w = state.params['0']['weight']
    np.testing.assert_allclose(news.params['0']['weight'], w - jax.grad(objective)(w), rtol=1e-5, atol=1e-6)


def test_metrics_add_up_over_steps():
    layer, batches = mlp(), [batch_of(seed=seed) for seed in range(3)]
    step = make_step(layer, CE, optax.sgd(0.0), metrics=[metric.Accuracy(), metric.TopKAccuracy(2, name='top')])
    state, metrics = step.init(0, batches[0], init='xavier'), {}
    for batch in batches:
        state, metrics = step(state, batch)
    outputs = np.concatenate([layer.apply(state.params, x) for x, _ in batches])
    labels = np.concatenate([y for _, y in batches])
    np.testing.assert_allclose(metrics['accuracy'], (outputs.argmax(1) == labels).mean(), rtol=1e-6)
    (top,) = [name for name in metrics if name not in ('loss', 'accuracy')]
    second = np.sort(outputs, 1)[:, -2]
    np.testing.assert_allclose(metrics[top], (outputs[np.arange(24), labels] >= second).mean(), rtol=1e-6)


def test_metrics_by_name():
    batch = batch_of()
    named, given = (make_step(mlp(), CE, optax.sgd(0.1), metrics=[one]) for one in ('acc', metric.Accuracy()))
    assert named.metrics == given.metrics
    state = named.init(0, batch, init='xavier')
    assert named(state, batch)[1]['accuracy'] == given(state, batch)[1]['accuracy']


def test_several_inputs_and_inputs_by_name():
    class Add(Layer):
        def __init__(self):
            self.dense = nn.Dense(3)

        def forward(self, first, second):
            return self.dense(first + second)

    (x, y), (z, _) = batch_of(), batch_of(seed=1)
    step = make_step(Add(), CE, optax.sgd(0.1))
    state = step.init(0, (x, z, y), init='xavier')
    expected, _ = step(state, (x, z, y))
    by_name, _ = step(state, {'second': z, 'label': y, 'first': x})
    assert_close(by_name.params, expected.params, rtol=0, atol=0)


def test_an_ensemble_is_a_vmapped_step():
    layer, batch = mlp(nn.Dropout(0.5)), batch_of()
    step = make_step(layer, CE, optax.adam(0.1))
    states = jax.vmap(lambda key: step.init(key, batch))(jax.random.split(jax.random.key(0), 3))
    news, metrics = jax.vmap(step, (0, None))(states, batch)
    assert metrics['loss'].shape == (3,)
    alone, _ = step(jax.tree.map(lambda leaf: leaf[1], states), batch)
    assert_close(jax.tree.map(lambda leaf: leaf[1], news.params), alone.params)


def test_losses_that_are_no_number_for_each_sample():
    x, y = batch_of()
    for wrong, shape in ((lambda out, label: out.mean(), r'\(\)'), (lambda out, label: out, r'\(8, 3\)')):
        step = make_step(mlp(), wrong, optax.sgd(0.1))
        state = step.init(0, (x, y))
        with pytest.raises(errors.ShapeError, match=rf'(?s)one number for each sample.*\(batch,\).*got: {shape}'):
            step(state, (x, y))


@pytest.mark.parametrize('batch', [np.ones((2, 2)), (np.ones((2, 2)),), {'x': np.ones(2)}, ()])
def test_no_batch(batch):
    with pytest.raises(errors.ArgumentError, match=r"(?s)no batch.*\(\*inputs, label\), or a dict with 'label'"):
        make_step(mlp(), CE).init(0, batch)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ((3, CE), 'trains a layer or a network'),
        ((nn.Dense(1), 'l2'), 'loss cannot be called'),
        ((nn.Dense(1), loss.L2Loss), r'class of a loss(.|\n)*L2Loss\(\)'),
        ((nn.Dense(1), CE, 'sgdd'), 'no optimizer is named'),
    ],
)
def test_arguments_that_cannot_be(arguments, message):
    with pytest.raises(errors.ArgumentError, match=message):
        make_step(*arguments)


@pytest.mark.parametrize(
    'options',
    [
        {'precision': 'float8'},
        {'accumulate': 0},
        {'average': 2},
        {'clip_global_norm': -1},
        {'metrics': ['accurate']},
        {'metrics': [metric.Accuracy(), metric.Accuracy()]},
    ],
)
def test_options_that_cannot_be(options):
    with pytest.raises(errors.ArgumentError):
        make_step(nn.Dense(1), CE, **options)


def test_a_key_that_nothing_was_drawn_with_stays():
    batch = batch_of()
    for layers, same in (((), True), ((nn.Dropout(0.5),), False)):
        step = make_step(mlp(*layers), CE, optax.sgd(0.1))
        state = step.init(0, batch)
        assert (step(state, batch)[0].key is state.key) == same


def test_the_first_state_of_many_parameters_is_made_in_one_program():
    def first(optimizer):
        step = make_step(net, loss.L2Loss(), optimizer)
        return step.init(0, (jnp.ones((2, 3)), jnp.ones((2, 4))))

    def looking(params):
        return jax.tree.map(lambda leaf: jnp.full_like(leaf, float(leaf.max())), params)

    net = nn.Sequential(*(nn.Dense(units) for units in (2, 3, 5, 4))).definition
    state = first('adam')
    moments = jax.tree.leaves(state.optimizer)
    assert len({leaf.unsafe_buffer_pointer() for leaf in moments}) == len(moments) == 8 + 2 * 8 + 2
    assert all(not leaf.any() for leaf in jax.tree.leaves(state.optimizer.inner))
    eager = optax.GradientTransformation(looking, lambda updates, state, params=None: (updates, state))
    state = first(eager)
    jax.tree.map(lambda kept, param: np.testing.assert_array_equal(kept, param.max()), state.optimizer, state.params)
