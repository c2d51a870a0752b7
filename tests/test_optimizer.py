"""Optimizers: MXNet's trajectories, and the properties of an optax transformation."""

import contextlib
import copy
import functools
import inspect
import json
import math
import pathlib
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from golden.optimizer_cases import CLASSES, HIDDEN, INPUTS, OPTIMIZERS, RECORDED, STEPS

from gluonjax import Trainer, errors, init, loss, lr_scheduler, make_step, metric, nn, optimizer
from gluonjax.optimizer import transforms
from gluonjax.tree import flatten, nest

GOLDEN = pathlib.Path(__file__).parent / 'golden'
FACTS = json.loads((GOLDEN / 'optimizers.json').read_text())
NOTES = FACTS['notes']
CONCRETE = {
    name.lower(): cls
    for name in optimizer.__all__
    if inspect.isclass(cls := getattr(optimizer, name))
    and issubclass(cls, optimizer.Optimizer)
    and cls is not optimizer.Optimizer
}
LEFT_OUT = {'lbsgd', 'ccsgd', 'test'}


# MXNet's trajectories.

NET = nn.Sequential(
    nn.Dense(HIDDEN, activation='tanh', in_units=INPUTS),
    nn.BatchNorm(in_channels=HIDDEN),
    nn.Dense(CLASSES, in_units=HIDDEN),
).definition


@functools.cache
def golden():
    with np.load(GOLDEN / 'optimizers.npz') as file:
        return dict(file)


@functools.cache
def start():
    return nest({key[6:]: jnp.asarray(value) for key, value in golden().items() if key.startswith('start/')})


@jax.jit
def losses_and_gradients(params, x, y):
    def mean_loss(params):
        logits, params = NET.apply_train(params, x)
        return loss.SoftmaxCrossEntropyLoss()(logits, y).mean(), params

    (value, params), gradients = jax.value_and_grad(mean_loss, has_aux=True)(params)
    return value, params, NET.partition(gradients)[0]


def made(case):
    options = dict(case.options)
    if case.scheduler:
        options['lr_scheduler'] = getattr(lr_scheduler, case.scheduler.cls)(**case.scheduler.kwargs)
    factors = {key: getattr(case, key) for key in ('lr_mult', 'wd_mult') if getattr(case, key)}
    return optimizer.create(case.optimizer, **options, **factors)


def trajectory(case):
    """The losses before the steps, and the parameters after the recorded ones, as the golden file has them."""
    rule, params, losses, rows = made(case), start(), [], []
    trained = [name for name in flatten(NET.partition(params)[0]) if case.trained == '.*' or name.endswith('weight')]

    def chosen(tree):
        return nest({name: flatten(tree)[name] for name in trained})

    state = rule.init(chosen(params))
    for step, (x, y) in enumerate(zip(golden()['x'], golden()['y'], strict=True), 1):
        if step in case.rates:
            state = optimizer.with_learning_rate(state, case.rates[step])
        value, params, gradients = losses_and_gradients(params, x, y)
        updates, state = rule.update(chosen(gradients), state, chosen(params))
        params = nest({**flatten(params), **flatten(optax.apply_updates(chosen(params), updates))})
        losses.append(value)
        if step in RECORDED:
            rows.append(np.concatenate([np.ravel(flatten(params)[name]) for name in flatten(start())]))
    return np.array(losses), np.stack(rows)


@pytest.mark.parametrize('case', OPTIMIZERS, ids=lambda case: case.name)
def test_trajectory_of_mxnet(case):
    """Tight enough to see MXNet's epsilons of 1e-6 and more; those of 1e-8 are below what float32 shows here."""
    row = list(golden()['cases']).index(case.name)
    assert len(golden()['losses'][row]) == STEPS
    losses, params = trajectory(case)
    np.testing.assert_allclose(losses, golden()['losses'][row], rtol=2e-6, atol=2e-6)
    np.testing.assert_allclose(params, golden()['params'][row], rtol=5e-6, atol=1.5e-6)


def test_the_golden_file_is_that_of_the_table():
    assert list(golden()['cases']) == [case.name for case in OPTIMIZERS]
    assert {case.optimizer for case in OPTIMIZERS} == CONCRETE.keys() - {'sgld'}


def test_options_of_the_table_do_something():
    """No two cases have one trajectory, but where the scale of gradients says nothing, or there is no such thing."""
    same = {
        ('adadelta_plain', 'adadelta_rate'),
        ('adamax_plain', 'adamax_rescale'),
        ('signum_plain', 'signum_rescale'),
        ('sgd_plain', 'nag_no_momentum'),
    }
    ends = {}
    for case, params in zip(OPTIMIZERS, golden()['params'], strict=True):
        ends.setdefault(params[-1].tobytes(), []).append(case.name)
    assert {tuple(names) for names in ends.values() if len(names) > 1} == same


# Names and arguments.


def test_every_optimizer_of_mxnet_is_there_or_left_out_by_name():
    assert set(FACTS['names']) - CONCRETE.keys() == LEFT_OUT
    assert CONCRETE.keys() - set(FACTS['names']) == {'adamw'}
    for name in LEFT_OUT:
        with pytest.raises(errors.ArgumentError, match='try:'):
            optimizer.create(name)


@pytest.mark.parametrize('name', sorted(CONCRETE.keys() & set(FACTS['names']) - {'sgld'}))
def test_arguments_of_mxnet(name):
    arguments = list(inspect.signature(CONCRETE[name].__init__).parameters.values())[1:-1]
    assert [[argument.name, argument.default] for argument in arguments] == FACTS['signatures'][name]


def test_common_options_of_mxnet():
    ours = inspect.signature(optimizer.Optimizer.__init__).parameters
    theirs = {name: default for name, default in FACTS['base'] if name not in ('param_idx2name', 'sym', 'param_dict')}
    assert {name: ours[name].default for name in theirs} == theirs


def test_create():
    assert type(optimizer.create('AdaGrad')) is optimizer.AdaGrad
    sgd, adam = optimizer.SGD(), optax.adam(0.1)
    assert optimizer.create(sgd) is sgd
    assert optimizer.create(adam) is adam
    with pytest.raises(
        errors.ArgumentError, match=r"no optimizer is named 'nothing'\n  expected: one of \['adadelta'.*'sgd'"
    ):
        optimizer.create('nothing')
    with pytest.raises(errors.ArgumentError, match=r"try: 'adam'$"):
        optimizer.create('Adm')
    with pytest.raises(errors.ArgumentError, match=r"SGD has no option \['mometum'\]\n  expected: .*'momentum'"):
        optimizer.create('sgd', mometum=0.9)
    with pytest.raises(errors.ArgumentError, match=r"'beta1'.*'correct_bias'.*'learning_rate'"):
        optimizer.create('adamw', betas=(0.9, 0.99))
    with pytest.raises(errors.ArgumentError, match='takes no options'):
        optimizer.create(sgd, learning_rate=0.1)
    for wrong in (3, None, optimizer.SGD):
        with pytest.raises(errors.ArgumentError, match='this is no optimizer'):
            optimizer.create(wrong)


def test_register():
    @optimizer.register
    class Plain(optimizer.Optimizer):
        def transformation(self):
            return transforms.scale_by_learning_rate()

    try:
        made = optimizer.create('plain', learning_rate=2)
        updates, _ = made.update(jnp.ones(2), made.init(jnp.ones(2)), jnp.ones(2))
        np.testing.assert_array_equal(updates, [-2, -2])
    finally:
        optimizer.base.OPTIMIZERS.classes.pop('plain')
    with pytest.raises(errors.ArgumentError, match='only optimizers'):
        optimizer.register(int)
    with pytest.raises(errors.ArgumentError, match='has no transformation'):
        optimizer.Optimizer().init({})


def test_repr():
    assert repr(optimizer.SGD()) == 'SGD(learning_rate=0.01)'
    assert repr(optimizer.Adam(beta1=0.8, wd=0.1, lr_mult={'.*bias': 2})) == (
        "Adam(beta1=0.8, wd=0.1, lr_mult={'.*bias': 2.0})"
    )
    assert repr(optimizer.LAMB(0.01, clip_gradient=1)) == 'LAMB(learning_rate=0.01, clip_gradient=1.0)'
    assert repr(optimizer.Ftrl(lr_scheduler=lr_scheduler.FactorScheduler(3))) == (
        'Ftrl(learning_rate=None, lr_scheduler=FactorScheduler(3))'
    )


def test_optimizers_are_frozen_picklable_and_copyable():
    adam = optimizer.Adam(0.3, lr_mult={'a': 2.0}, lr_scheduler=lr_scheduler.FactorScheduler(3))
    with pytest.raises(errors.FrozenError, match=r"'learning_rate' cannot be set(?s:.*)with_learning_rate\(state"):
        adam.learning_rate = 1
    with pytest.raises(errors.FrozenError, match='cannot be deleted'):
        del adam.wd
    with pytest.raises(errors.FrozenError):
        adam.lr_mult['a'] = 3
    for other in (pickle.loads(pickle.dumps(adam)), copy.deepcopy(adam)):
        assert repr(other) == repr(adam)
        with pytest.raises(errors.FrozenError):
            other.wd = 1


@pytest.mark.parametrize(
    ('cls', 'options'),
    [
        ('SGD', {'momentum': 1.0}),
        ('SGD', {'momentum': -0.1}),
        ('SGD', {'learning_rate': 'fast'}),
        ('SGD', {'learning_rate': lr_scheduler.FactorScheduler}),
        ('SGD', {'learning_rate': lr_scheduler.FactorScheduler(1), 'lr_scheduler': lr_scheduler.FactorScheduler(1)}),
        ('SGD', {'clip_gradient': 0}),
        ('SGD', {'clip_gradient': -1}),
        ('SGD', {'rescale_grad': None}),
        ('SGD', {'wd': '0'}),
        ('SGD', {'lr_scheduler': 0.1}),
        ('SGD', {'lr_scheduler': lr_scheduler.FactorScheduler}),
        ('SGD', {'begin_num_update': 1.5}),
        ('SGD', {'lr_mult': 0.1}),
        ('SGD', {'wd_mult': {'.*': 'none'}}),
        ('SGD', {'lr_mult': {'.*': math.nan}}),
        ('SGD', {'lr_mult': {'.*': -1}}),
        ('SGD', {'lr_mult': {'.*': math.inf}}),
        ('SGD', {'lr_mult': {'.*': 'x'}}),
        ('Adam', {'beta1': 1}),
        ('Adam', {'beta2': 1.5}),
        ('Adam', {'epsilon': -1}),
        ('RMSProp', {'clip_weights': -1}),
        ('LAMB', {'lower_bound': 0}),
        ('SGLD', {'seed': 'a'}),
        ('GroupAdaGrad', {'wd': 0.1}),
        ('AdaDelta', {'lr_mult': {'.*': 0}}),
        ('AdaDelta', {'lr_scheduler': lr_scheduler.FactorScheduler(1)}),
        ('Signum', {'momentum': 0, 'wd_lh': 0.1}),
    ],
)
def test_wrong_options(cls, options):
    with pytest.raises(errors.ArgumentError):
        getattr(optimizer, cls)(**options)


# Properties of a transformation, for each optimizer.

PARAMS = {'0': {'weight': jnp.array([[0.5, -1.0], [2.0, 0.25]]), 'bias': jnp.array([[1.0, -0.5]])}}
GRADIENTS = {'0': {'weight': jnp.array([[0.1, -0.4], [0.0, 0.3]]), 'bias': jnp.array([[-0.2, 0.6]])}}
EVERY = pytest.mark.parametrize('name', sorted(CONCRETE))


def options_of(name):
    """Options that make everything count."""
    common = {'clip_gradient': 0.35, 'rescale_grad': 1.5}
    own = {
        'sgd': {'momentum': 0.9},
        'nag': {'momentum': 0.9},
        'dcasgd': {'momentum': 0.9},
        'lars': {'momentum': 0.9},
        'rmsprop': {'centered': True},
    }
    return {**common, **own.get(name, {}), **({} if name == 'groupadagrad' else {'wd': 0.1})}


def walk(rule, count=3, params=PARAMS, gradients=GRADIENTS, update=None):
    """Params and state after some updates."""
    state = rule.init(params)
    for _ in range(count):
        updates, state = (update or rule.update)(gradients, state, params)
        params = optax.apply_updates(params, updates)
    return params, state


def assert_close(ours, theirs, rtol=2e-6, atol=1e-6):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=atol), ours, theirs)


@EVERY
def test_vmap_is_a_loop(name):
    """An ensemble of two, from initialization on."""
    rule = CONCRETE[name](**options_of(name))
    both = jax.tree.map(lambda a, b: jnp.stack([a, 2 * b]), PARAMS, PARAMS)
    states = jax.vmap(rule.init)(both)
    update = jax.jit(jax.vmap(rule.update, in_axes=(None, 0, 0)))
    _, states = update(GRADIENTS, states, both)
    updates, _ = update(GRADIENTS, states, both)
    for i in range(2):
        params = jax.tree.map(lambda leaf, i=i: leaf[i], both)
        _, state = rule.update(GRADIENTS, rule.init(params), params)
        assert_close(jax.tree.map(lambda leaf, i=i: leaf[i], updates), rule.update(GRADIENTS, state, params)[0])


@EVERY
def test_jit_is_eager_and_buffers_can_be_donated(name):
    rule = CONCRETE[name](**options_of(name))
    params = jax.tree.map(jnp.copy, PARAMS)
    state = rule.init(params)
    pointers = [leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves((params, state))]
    assert len(set(pointers)) == len(pointers)

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(state, params):
        updates, state = rule.update(GRADIENTS, state, params)
        return state, optax.apply_updates(params, updates)

    leaves = jax.tree.leaves((state, params))
    for _ in range(3):
        state, params = step(state, params)
    assert all(leaf.is_deleted() for leaf in leaves)
    assert_close((params, state), walk(rule))


@EVERY
def test_dtypes_stay_and_arithmetic_is_float32(name):
    """Half precision gives what float32 gives for the same numbers, rounded at the end."""
    rule = CONCRETE[name](**options_of(name))
    half = jax.tree.map(lambda leaf: leaf.astype('bfloat16'), (PARAMS, GRADIENTS))
    wide = jax.tree.map(lambda leaf: leaf.astype('float32'), half)
    (params, gradients), state = half, rule.init(half[0])
    assert {leaf.dtype.name for leaf in jax.tree.leaves(state)} <= {'float32', 'int32'}
    updates, after = rule.update(gradients, state, params)
    assert jax.tree.map(lambda a, b: (a.dtype, a.shape) == (b.dtype, b.shape), state, after)
    expected, _ = rule.update(wide[1], rule.init(wide[0]), wide[0])
    assert {leaf.dtype.name for leaf in jax.tree.leaves(updates)} == {'bfloat16'}
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b.astype('bfloat16')), updates, expected)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(optax.apply_updates(params, updates))} == {'bfloat16'}


@EVERY
def test_structure_of_the_state_stays(name):
    rule = CONCRETE[name](**options_of(name))
    before, (_, after) = rule.init(PARAMS), walk(rule)
    assert jax.tree.structure(before) == jax.tree.structure(after)
    assert [(x.shape, x.dtype, x.weak_type) for x in jax.tree.leaves(before)] == [
        (x.shape, x.dtype, x.weak_type) for x in jax.tree.leaves(after)
    ]
    assert (int(before.count), int(after.count), after.count.dtype) == (0, 3, jnp.int32)


@pytest.mark.parametrize('name', sorted(CONCRETE.keys() - {'adadelta'}))
@pytest.mark.parametrize('rate', [{'lr_mult': {'.*bias': 0}}, {'learning_rate': 0}], ids=['lr_mult', 'learning_rate'])
def test_a_rate_of_zero_freezes(name, rate):
    (params, state) = walk(CONCRETE[name](**{**options_of(name), **rate}))
    np.testing.assert_array_equal(params['0']['bias'], PARAMS['0']['bias'])
    moved = not np.array_equal(params['0']['weight'], PARAMS['0']['weight'])
    assert moved == ('lr_mult' in rate)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state))


@pytest.mark.parametrize('name', ['sgd', 'adam', 'lars', 'nadam'])
def test_names_may_come_by_any_tree(name):
    """Lists and tuples have names too."""
    rule = CONCRETE[name](**options_of(name), lr_mult={r'1\.0': 0})
    params, _ = walk(rule, params=[PARAMS, (jnp.ones((1, 1)),)], gradients=[GRADIENTS, (jnp.ones((1, 1)),)])
    np.testing.assert_array_equal(params[1][0], [[1]])
    assert_close(params[0], walk(CONCRETE[name](**options_of(name)))[0])


@EVERY
def test_in_chain_and_masked(name):
    """What is masked has no part in it: neither state nor patterns."""
    rule = CONCRETE[name](**options_of(name), wd_mult={'.*weight': 2})
    mask = {'0': {'weight': True, 'bias': False}}
    others = optax.masked(optax.set_to_zero(), jax.tree.map(np.logical_not, mask))
    params, state = walk(optax.chain(optax.masked(rule, mask), others), 2)
    assert_close(params['0']['weight'], walk(rule, 2)[0]['0']['weight'])
    np.testing.assert_array_equal(params['0']['bias'], PARAMS['0']['bias'])
    alone = rule.init({'0': {'weight': PARAMS['0']['weight']}})
    assert len(jax.tree.leaves(state)) == len(jax.tree.leaves(alone))


@pytest.mark.parametrize('name', ['sgd', 'adam', 'lars', 'nadam'])
def test_in_multi_steps(name):
    rule = CONCRETE[name](**options_of(name))
    accumulated = optax.MultiSteps(rule, 2)
    assert_close(walk(accumulated, 4, update=jax.jit(accumulated.update))[0], walk(rule, 2)[0])


@pytest.mark.parametrize('name', ['adam', 'adamw', 'lamb', 'adamax', 'nadam', 'ftml'])
def test_counts_are_each_parameters_own(name):
    """A parameter that joins after 300 updates begins as it would at once, as in MXNet; the rate goes on for all."""
    scheduler = lr_scheduler.FactorScheduler(100, 0.5, base_lr=0.1)
    rule = CONCRETE[name](learning_rate=0.1, lr_scheduler=scheduler)
    old, joined = {'old': jnp.full(2, 3.0)}, {'joined': jnp.array([1.0, -2.0])}
    gradients = {'old': jnp.ones(2), 'joined': jnp.array([0.5, -0.25])}
    state = rule.init(old)
    update = jax.jit(rule.update)
    for _ in range(300):
        _, state = update({'old': gradients['old']}, state, old)
    known = {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(state)}
    both = jax.tree_util.tree_map_with_path(
        lambda path, leaf: known.get(jax.tree_util.keystr(path), leaf), rule.init(old | joined)
    )
    updates, after = rule.update(gradients, both, old | joined)
    plain = CONCRETE[name](learning_rate=scheduler(301))
    alone, _ = plain.update({'joined': gradients['joined']}, plain.init(joined), joined)
    assert_close(updates['joined'], alone['joined'])
    assert (int(after.count), int(after.counts['old']), int(after.counts['joined'])) == (301, 301, 1)


def test_complex_parameters():
    """Real and imaginary part are updated as two parameters, but that Adam's second moment is of the whole."""
    params, gradients = jnp.array([1 + 2j, -1j], 'complex64'), jnp.array([0.3 - 0.4j, 1j], 'complex64')
    rule = optimizer.SGD(0.9, learning_rate=0.1)
    halves = [walk(rule, params=part(params), gradients=part(gradients))[0] for part in (jnp.real, jnp.imag)]
    assert_close(walk(rule, params=params, gradients=gradients)[0], halves[0] + 1j * halves[1])
    updates, state = (rule := optimizer.Adam(0.1)).update(gradients, rule.init(params), params)
    assert_close(updates, -0.1 * gradients / abs(gradients), 1e-5)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(state)} == {'int32', 'float32', 'complex64'}


@pytest.mark.parametrize('scale', [1e30, 1e20, 1.0, 1e-22, 1e-30])
def test_norms_neither_overflow_nor_vanish(scale):
    gradients = {'a': jnp.array([3.0, 0.0]) * scale, 'b': jnp.array(4.0) * scale, 'c': jnp.zeros((0, 2))}
    np.testing.assert_allclose(transforms.norm(gradients['a']), 3 * scale, rtol=1e-6)
    rule = transforms.clip_by_global_norm(scale)
    clipped, _ = rule.update(gradients, rule.init(gradients))
    np.testing.assert_allclose(clipped['a'], np.float32([0.6, 0]) * np.float32(scale), rtol=1e-6)
    np.testing.assert_allclose(clipped['b'], np.float32(0.8) * np.float32(scale), rtol=1e-6)
    rule = transforms.clip_by_global_norm(6 * scale)
    assert_close(rule.update(gradients, rule.init(gradients))[0], gradients, rtol=0, atol=0)
    lars = optimizer.LARS(learning_rate=1.0, eta=1.0)
    weight = jnp.array([0.6, 0.8])
    updates, _ = lars.update(gradients['a'], lars.init(weight), weight)
    np.testing.assert_allclose(updates, [-1, 0], rtol=1e-6)


@pytest.mark.parametrize('name', sorted(CONCRETE.keys() - {'sgd', 'nag', 'dcasgd', 'sgld', 'signum', 'lars'}))
def test_squares_of_large_gradients_do_not_stop_an_optimizer(name):
    """What divides by the size of gradients moves as far for 1e20, whose square is infinite, as for 1e10."""
    rule, weight, signs = CONCRETE[name](), jnp.full((2, 2), 0.5), jnp.array([[1.0, -1.0], [-1.0, 1.0]])
    far, near = (walk(rule, 2, weight, signs * size)[0] for size in (1e20, 1e10))
    np.testing.assert_allclose(far, near, rtol=1e-4)
    assert (far != weight).all()
    infinite, _ = rule.update(signs * jnp.inf, rule.init(weight), weight)
    assert not np.isfinite(infinite).any()


def test_a_limit_of_zero_is_no_movement():
    rule = transforms.clip_by_global_norm(0.0)
    for gradient in (jnp.zeros(2), jnp.ones(2)):
        np.testing.assert_array_equal(rule.update({'a': gradient}, rule.init({}))[0]['a'], [0, 0])
    assert np.isnan(rule.update({'a': jnp.array([jnp.nan])}, rule.init({}))[0]['a']).all()
    assert not np.isfinite(rule.update({'a': jnp.array([jnp.inf])}, rule.init({}))[0]['a']).any()
    assert rule.update({}, rule.init({}))[0] == {}


@EVERY
def test_strict_promotion(name):
    with jax.numpy_dtype_promotion('strict'):
        rule = CONCRETE[name](**options_of(name), **({} if name == 'adadelta' else {'lr_mult': {'.*bias': 2}}))
        half = jax.tree.map(lambda leaf: leaf.astype('bfloat16'), (PARAMS, GRADIENTS))
        updates, _ = jax.eval_shape(rule.update, half[1], jax.eval_shape(rule.init, half[0]), half[0])
    assert {leaf.dtype.name for leaf in jax.tree.leaves(updates)} == {'bfloat16'}


def test_wrong_trees():
    rule = optimizer.SGD(lr_mult={'1.*': 2})
    with pytest.raises(errors.PatternError, match=r"no parameter matches '1\.\*'(?s:.*)'0.bias', '0.weight'"):
        rule.init(PARAMS)
    with pytest.raises(errors.PatternError, match='weight'):
        optimizer.SGD(wd_mult={'weight': 2}).init(PARAMS)
    plain = optimizer.SGD()
    for params in (None, {'0': {'weight': PARAMS['0']['weight']}}):
        with pytest.raises(errors.ParamsError, match='SGD needs the params of the gradients'):
            plain.update(GRADIENTS, plain.init(PARAMS), params)
    with pytest.raises(errors.ShapeError, match='GroupAdaGrad is for matrices'):
        optimizer.GroupAdaGrad().init({'gamma': jnp.ones(2)})
    assert NOTES['groupadagrad_vector']['error'] == 'AssertionError'


def test_multi_precision():
    optimizer.SGD(multi_precision=True).init(PARAMS)
    with pytest.raises(errors.ArgumentError, match="precision='bfloat16'"):
        optimizer.SGD(multi_precision=True).init({'weight': jnp.ones(2, 'bfloat16')})


def test_the_first_pattern_that_matches_counts():
    rule = optimizer.SGD(1 / 2, wd=1, lr_mult={r'0\.w': 4, '.*': 2}, wd_mult={'.*bias': 3})
    updates, _ = rule.update(jax.tree.map(jnp.zeros_like, GRADIENTS), rule.init(PARAMS), PARAMS)
    rate = 0.01
    assert_close(updates['0']['weight'], -rate * 4 * PARAMS['0']['weight'])
    assert_close(updates['0']['bias'], -rate * 2 * 3 * PARAMS['0']['bias'])


def test_with_multipliers():
    """Of whole names, and before the patterns that an optimizer has."""
    plain = optimizer.SGD(lr_mult={'.*': 2}, wd=1, learning_rate=0.1)
    rule = plain.with_multipliers({'0.bias': 5}, {'0.weight': 0, '0.bias': 1})
    updates, _ = rule.update(jax.tree.map(jnp.ones_like, GRADIENTS), rule.init(PARAMS), PARAMS)
    assert_close(updates['0'], {'weight': jnp.full((2, 2), -0.2), 'bias': -0.5 * (1 + PARAMS['0']['bias'])})
    assert repr(plain) == "SGD(learning_rate=0.1, wd=1.0, lr_mult={'.*': 2.0})"
    with pytest.raises(errors.PatternError):
        plain.with_multipliers({'0.b': 2}, {}).init(PARAMS)
    delta = optimizer.AdaDelta(wd=1).with_multipliers({'0.bias': 1}, {'0.bias': 0})
    np.testing.assert_array_equal(
        walk(delta, 1, gradients=jax.tree.map(jnp.zeros_like, PARAMS))[0]['0']['bias'], PARAMS['0']['bias']
    )
    with pytest.raises(errors.ArgumentError, match='AdaDelta has no learning rate'):
        delta.with_multipliers({'0.bias': 0}, {})


def test_no_parameters_at_all():
    """As the Trainer asks, which wants to know the rate before it knows the parameters."""
    assert optimizer.find_learning_rate(optimizer.Adam(0.5, lr_mult={'0': 2}).init({})) == 0.5


# Where ours is not MXNet's.


def test_adamax_of_gradients_that_are_zero():
    assert NOTES['adamax_of_zero'] == ['nan']
    rule = optimizer.Adamax()
    assert walk(rule, params=jnp.ones(1), gradients=jnp.zeros(1))[0] == 1


def test_ftml_without_a_rate():
    assert NOTES['ftml_without_rate'] == ['nan']  # ours: test_a_rate_of_zero_freezes


def test_ftml_and_ftrl_go_on_after_a_rate_of_zero():
    for rule in (optimizer.FTML(), optimizer.Ftrl()):
        params, state = walk(rule, 2)
        _, paused = rule.update(GRADIENTS, optimizer.with_learning_rate(state, 0.0), params)
        assert_close(paused.inner, state.inner, rtol=0, atol=0)


def test_momentum_of_dcasgd():
    """MXNet fails. In float64 by the formula."""
    assert NOTES['dcasgd_momentum']['error'] == 'ValueError'
    weight, last, trace = 1.0, 1.0, 0.0
    for _ in range(3):
        trace = 0.9 * trace - 0.1 * (0.5 + 0.2 * weight + 2 * 0.5**2 * (weight - last))
        last, weight = weight, weight + trace
    rule = optimizer.DCASGD(0.9, lamda=2, learning_rate=0.1, wd=0.2)
    np.testing.assert_allclose(walk(rule, params=jnp.ones(1), gradients=jnp.full(1, 0.5))[0], [weight], rtol=1e-6)


def test_nadam_does_not_depend_on_how_many_parameters_there_are():
    assert len(set(NOTES['nadam_of_several'])) == 3
    params, _ = walk(optimizer.Nadam(0.1), 1, params=[jnp.ones(1)] * 3, gradients=[jnp.full(1, 0.5)] * 3)
    np.testing.assert_allclose(np.ravel(params), [float(NOTES['nadam_of_several'][0])] * 3, rtol=1e-6)


def test_nag_decays_its_momentum_by_the_old_weight():
    """MXNet in place decays it by the new one."""

    def two_steps(in_place):
        weight, trace = 1.0, 0.0
        for _ in range(2):
            old, kept = weight, 0.9 * trace
            weight = old - kept + 1.9 * (kept - 0.1 * (0.3 + 0.5 * old))
            trace = kept - 0.1 * (0.3 + 0.5 * (weight if in_place else old))
        return weight

    np.testing.assert_allclose(float(NOTES['nag_in_place'][0]), two_steps(True), rtol=1e-6)
    rule = optimizer.NAG(0.9, learning_rate=0.1, wd=0.5)
    np.testing.assert_allclose(
        walk(rule, 2, params=jnp.ones(1), gradients=jnp.full(1, 0.3))[0], [two_steps(False)], rtol=1e-6
    )


@pytest.mark.parametrize('value', ['x', None, np.ones(3)])
@pytest.mark.parametrize(
    ('name', 'flag'), [('sgd', 'lazy_update'), ('rmsprop', 'centered'), ('sgd', 'multi_precision')]
)
def test_flags_are_flags(name, flag, value):
    with pytest.raises(errors.ArgumentError, match=f'{flag} must be a bool'):
        optimizer.create(name, **{flag: value})


def test_signum_refuses_what_mxnet_refuses():
    assert NOTES['signum_wd_lh_without_momentum']['error'] == 'MXNetError'  # ours: test_wrong_options


# SGLD.


def test_noise_of_sgld_is_normal_with_the_rate_as_variance():
    """100,000 numbers: the deviations allowed happen less than once in 10^9 seeds."""
    rule = optimizer.SGLD(learning_rate=0.04, lr_mult={'b': 4})
    zeros = {'a': jnp.zeros((1000, 100)), 'b': jnp.zeros((1000, 100))}
    updates, _ = rule.update(zeros, rule.init(zeros), zeros)
    for name, deviation in (('a', 0.2), ('b', 0.4)):
        noise = np.asarray(updates[name], np.float64) / deviation
        assert abs(noise.mean()) < 6.2 / math.sqrt(noise.size)
        assert abs((noise**2).mean() - 1) < 6.2 * math.sqrt(2 / noise.size)
        assert abs((noise**4).mean() - 3) < 6.2 * math.sqrt(96 / noise.size)


def test_noise_of_sgld_is_a_function_of_seed_name_and_number():
    zeros = {'a': jnp.zeros(4), 'b': jnp.zeros(4)}

    def noise(count=1, params=zeros, **options):
        rule = optimizer.SGLD(**options)
        state = rule.init(params)
        updates = None
        for _ in range(count):
            updates, state = rule.update(params, state, params)
        return updates

    first = noise()
    np.testing.assert_array_equal(noise(params={'b': zeros['b']})['b'], first['b'])
    np.testing.assert_array_equal(noise(begin_num_update=1)['a'], noise(2)['a'])
    np.testing.assert_array_equal(noise(seed=jax.random.key(0))['a'], first['a'])
    different = [first['a'], first['b'], noise(2)['a'], noise(seed=1)['a'], noise(2, seed=1)['a']]
    assert len({np.asarray(one).tobytes() for one in different}) == len(different)


def test_drift_of_sgld():
    params = jnp.full(1, 2.0)
    noisy = optimizer.SGLD(learning_rate=0.1, wd=0.5, clip_gradient=0.3, rescale_grad=2)
    still = optimizer.SGLD(learning_rate=0.1)
    drift = noisy.update(jnp.ones(1), noisy.init(params), params)[0]
    noise = still.update(jnp.zeros(1), still.init(params), params)[0]
    np.testing.assert_allclose(drift - noise, [-0.05 * (0.3 + 0.5 * 2)], rtol=1e-5)


# The learning rate.


WRAPPERS = {
    'bare': lambda rule: rule,
    'chain': lambda rule: optax.chain(optax.clip_by_global_norm(1.0), rule),
    'multi_steps': lambda rule: optax.MultiSteps(optax.chain(rule), 2),
    'masked': lambda rule: optax.masked(rule, {'0': {'weight': True, 'bias': False}}),
    'apply_if_finite': lambda rule: optax.apply_if_finite(rule, 3),
}
RULES = {'ours': optimizer.SGD(learning_rate=0.5), 'optax': optax.inject_hyperparams(optax.adam)(learning_rate=0.5)}


@pytest.mark.parametrize('rule', RULES)
@pytest.mark.parametrize('wrapper', WRAPPERS)
def test_learning_rate_however_it_is_wrapped(rule, wrapper):
    rule = WRAPPERS[wrapper](RULES[rule])
    state = rule.init(PARAMS)
    assert optimizer.find_learning_rate(state) == 0.5
    changed = optimizer.with_learning_rate(state, 0.25)
    assert optimizer.find_learning_rate(state) == 0.5
    assert optimizer.find_learning_rate(changed) == 0.25
    assert jax.tree.structure(changed) == jax.tree.structure(state)
    others = [a is b for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(changed), strict=True)]
    assert others.count(False) == 1


def test_a_new_learning_rate_counts_and_compiles_nothing():
    rule = optimizer.SGD(learning_rate=0.5)
    update = jax.jit(rule.update)
    _, state = update(GRADIENTS, rule.init(PARAMS), PARAMS)
    assert state.learning_rate == 0.5
    updates, state = update(GRADIENTS, optimizer.with_learning_rate(state, 0.25), PARAMS)
    assert_close(updates, jax.tree.map(lambda gradient: -0.25 * gradient, GRADIENTS))
    update(GRADIENTS, optimizer.with_learning_rate(state, np.float64(0.1)), PARAMS)
    assert update._cache_size() == 1


def test_a_new_learning_rate_stays_on_the_devices_of_the_old():
    rule, mesh = optimizer.SGD(learning_rate=0.5), jax.make_mesh((8,), ('data',))
    everywhere = jax.NamedSharding(mesh, jax.P())
    state = jax.device_put(rule.init(PARAMS), everywhere)
    changed = optimizer.with_learning_rate(state, 0.25)
    assert changed.learning_rate.sharding == everywhere
    assert changed.learning_rate == 0.25


def test_learning_rate_inside_transformations():
    rule = optimizer.SGD(learning_rate=0.5)
    states = jax.vmap(lambda rate: optimizer.with_learning_rate(rule.init(PARAMS), rate))(jnp.array([1.0, 2.0]))
    np.testing.assert_array_equal(optimizer.find_learning_rate(states), [1, 2])
    np.testing.assert_array_equal(optimizer.with_learning_rate(states, 3).learning_rate, [3, 3])


def test_no_learning_rate_to_change():
    with pytest.raises(errors.ArgumentError, match=r'no learning rate(?s:.*)optax\.inject_hyperparams'):
        optimizer.find_learning_rate(optax.adam(0.1).init(PARAMS))
    with pytest.raises(errors.ArgumentError, match=r'optax\.inject_hyperparams'):
        optimizer.with_learning_rate(optax.adam(0.1).init(PARAMS), 0.1)
    two = optax.partition({'a': optimizer.SGD(), 'b': optimizer.SGD()}, {'0': {'weight': 'a', 'bias': 'b'}})
    with pytest.raises(errors.ArgumentError, match='several learning rates'):
        optimizer.find_learning_rate(two.init(PARAMS))


def test_a_scheduler_sets_the_learning_rate():
    assert NOTES['set_learning_rate_with_scheduler']['error'] == 'UserWarning'
    ours = optimizer.SGD(lr_scheduler=lr_scheduler.FactorScheduler(1, 0.5, base_lr=1.0))
    theirs = optax.inject_hyperparams(optax.sgd)(learning_rate=optax.exponential_decay(1.0, 1, 0.5))
    for rule in (ours, theirs, optax.chain(ours)):
        with pytest.raises(errors.ArgumentError, match='a scheduler sets this learning rate'):
            optimizer.with_learning_rate(rule.init(PARAMS), 0.1)
    _, state = walk(ours, 3)
    assert optimizer.find_learning_rate(state) == 0.25


def test_optax_schedules_are_schedulers():
    """The first update has number 1."""
    rule = optimizer.SGD(lr_scheduler=optax.exponential_decay(1.0, 1, 0.5))
    params, state = walk(rule, 2, params=jnp.zeros(1), gradients=jnp.ones(1))
    np.testing.assert_allclose(params, [-(0.5 + 0.25)], rtol=1e-6)
    assert state.learning_rate.dtype == jnp.float32
    assert optimizer.find_learning_rate(rule.init(PARAMS)) == 1


@pytest.mark.parametrize('name', ['sgd', 'adam', 'ftrl', 'nag'])
def test_a_schedule_may_be_the_learning_rate_and_counts_as_optax_does(name):
    schedule = optax.exponential_decay(1.0, 1, 0.5)
    rule = optimizer.create(name, learning_rate=schedule)
    assert rule.lr_scheduler(1) == 1
    assert optimizer.find_learning_rate(rule.init(PARAMS)) == 1
    _, state = walk(rule, 3)
    assert optimizer.find_learning_rate(state) == 0.25  # of the third update
    if name == 'sgd':
        ours, theirs = walk(rule, 3, jnp.zeros(1), jnp.ones(1))[0], optax.sgd(schedule)
        params, state = jnp.zeros(1), theirs.init(jnp.zeros(1))
        for _ in range(3):
            updates, state = theirs.update(jnp.ones(1), state)
            params = optax.apply_updates(params, updates)
        np.testing.assert_allclose(ours, params, rtol=1e-6)


def test_a_scheduler_may_be_the_learning_rate_and_counts_as_mxnet_does():
    scheduler = lr_scheduler.FactorScheduler(1, 0.5, base_lr=1.0)
    assert optimizer.Adam(learning_rate=scheduler).lr_scheduler is scheduler
    with pytest.raises(errors.ArgumentError, match='no schedule'):
        lr_scheduler.OptaxSchedule(0.1)


def test_a_scheduler_is_not_changed():
    scheduler = lr_scheduler.FactorScheduler(1, 0.5, base_lr=1.0)
    rule = optimizer.SGD(learning_rate=0.2, lr_scheduler=scheduler)
    assert (scheduler.base_lr, rule.lr_scheduler.base_lr) == (1.0, 0.2)
    assert optimizer.Adam(lr_scheduler=scheduler).lr_scheduler.base_lr == 0.001
    assert optimizer.Adam(None, lr_scheduler=scheduler).lr_scheduler.base_lr == 1.0
    assert optimizer.Ftrl(lr_scheduler=scheduler).lr_scheduler.base_lr == 1.0


# Against optax, where both mean the same.


@pytest.mark.parametrize(
    ('ours', 'theirs'),
    [
        (optimizer.SGD(0.9, learning_rate=0.1), optax.sgd(0.1, 0.9)),
        (optimizer.NAG(0.9, learning_rate=0.1), optax.sgd(0.1, 0.9, nesterov=True)),
        (optimizer.RMSProp(0.01), optax.rmsprop(0.01, eps=1e-8)),
        (optimizer.RMSProp(0.01, centered=True), optax.rmsprop(0.01, 0.9, 1e-8, centered=True, momentum=0.9)),
        (optimizer.AdaGrad(learning_rate=0.1), optax.adagrad(0.1, 0.0)),
        (optimizer.Adam(0.01, epsilon=0), optax.adam(0.01, eps=0)),
        (optimizer.Adamax(0.01), optax.adamax(0.01, eps=1e-30)),
        (optimizer.LAMB(0.01, wd=0.1), optax.lamb(0.01, weight_decay=0.1)),
    ],
    ids=lambda rule: type(rule).__name__,
)
def test_what_optax_has_too(ours, theirs):
    gradients = jax.tree.map(lambda gradient: gradient + 0.01, GRADIENTS)  # no zeros: 0 / 0 without an epsilon
    assert_close(walk(ours, 5, gradients=gradients)[0], walk(theirs, 5, gradients=gradients)[0], 1e-5, 1e-6)


@pytest.mark.parametrize('beta', [0.0, 0.1, 0.9, 0.999, 0.999999])
def test_complement_is_precise(beta):
    numbers = np.array([1, 2, 10, 1000, 10**6])
    np.testing.assert_allclose(
        transforms.one_minus_power(beta, jnp.asarray(numbers)), 1 - beta ** numbers.astype(float), rtol=1e-6
    )


# In a training step.


def mean_of_squares(output, label):
    return (jnp.abs(output - label) ** 2).mean(1)


DONATED = {
    'lbfgs': optax.lbfgs,
    'prodigy': optax.contrib.prodigy,
    'dowg': optax.contrib.dowg,
    'cocob': optax.contrib.cocob,
    'mechanize': lambda: optax.contrib.mechanize(optax.adam(0.1)),
    'adam': lambda: 'adam',
    'nadam': lambda: 'nadam',
}


@pytest.mark.parametrize('name', DONATED)
def test_the_first_state_of_a_step_can_be_donated(name):
    step, batch = make_step(nn.Dense(1), loss.L2Loss(), DONATED[name]()), (jnp.ones((4, 2)), jnp.ones((4, 1)))
    compiled = jax.jit(step, donate_argnums=0)
    state, first = compiled(step.init(0, batch), batch)
    state, second = compiled(state, batch)
    assert second['loss'] < first['loss']


def test_the_average_moves_once_an_update():
    """Three updates of weights 1, 2, 3 of two parts each: not six."""
    layer = nn.Dense(1, use_bias=False, weight_initializer='zeros')
    step = make_step(layer, lambda output, label: -output[:, 0], optax.sgd(1.0), accumulate=2, average=0.5)
    batch = jnp.ones((2, 1)), jnp.ones(2)
    state = step.init(0, batch)
    for expected in (0, 0.5, 0.5, 1.25, 1.25, 2.125):
        state, _ = step(state, batch)
        np.testing.assert_allclose(state.average['weight'], [[expected]])


@pytest.mark.parametrize('rule', ['sgd', 'adam', optax.sgd(0.1)], ids=['sgd', 'adam', 'optax'])
def test_complex_parameters_go_downhill(rule):
    class Product(nn.Layer):
        def __init__(self):
            self.weight = nn.Param((1, 1), 'complex64', init.Constant(1 + 1j))

        def forward(self, x):
            return x * self.weight

    step = make_step(Product(), mean_of_squares, rule)
    batch = jnp.ones((2, 1), 'complex64'), jnp.full((2, 1), 3 - 2j, 'complex64')
    state = step.init(0, batch)
    state, first = step(state, batch)
    last = first
    for _ in range(20):
        state, last = step(state, batch)
    assert last['loss'] < first['loss']
    assert state.params['weight'].imag.item() < 1 < state.params['weight'].real.item()


def test_a_norm_of_zero_is_clipped_to_zero():
    step = make_step(nn.Dense(1), lambda output, label: 0 * output[:, 0], 'sgd', clip_global_norm=0)
    batch = jnp.ones((2, 1)), jnp.ones(2)
    state = step.init(0, batch)
    after, _ = step(state, batch)
    assert_close(after.params, state.params, rtol=0, atol=0)


# Freezing in a Trainer: state and update counts are each parameter's own, as in MXNet.


def frozen_trainer(rule, **options):
    net = nn.Sequential(nn.Dense(2, in_units=3), nn.Dense(1, in_units=2))
    net.initialize(init.Constant(0.5), key=0)
    trainer = Trainer(net, loss.L2Loss(), rule, {'learning_rate': 0.1, **options}, key=0)
    return net, trainer, (jnp.array([[1.0, 2.0, 3.0]]), jnp.array([[-1.0]]))


@pytest.mark.parametrize('name', ['adam', 'nadam'])
def test_the_first_step_of_a_thawed_parameter_is_a_first_step(name):
    net, trainer, batch = frozen_trainer(name)
    net[0].weight.grad_req = 'null'
    for _ in range(10):
        trainer.step(*batch)
    before = net[0].weight.data()
    net[0].weight.grad_req = 'write'
    trainer.step(*batch)
    after, plain = net[0].weight.data(), optimizer.create(name, learning_rate=0.1)
    first, _ = plain.update(jnp.ones(1), plain.init(jnp.ones(1)), jnp.ones(1))
    np.testing.assert_allclose(abs(after - before), np.full((2, 3), abs(first[0])), rtol=1e-4)


def test_momentum_stays_while_a_parameter_is_frozen():
    net, trainer, batch = frozen_trainer('sgd', momentum=0.9, learning_rate=1e-3)
    trainer.step(*batch)
    moments = flatten(trainer.state.optimizer.inner[-1].trace)
    for parameter in (net[0].weight, net[1].weight):
        parameter.grad_req = 'null'
        trainer.step(*batch)
    for parameter in (net[1].weight, net[0].weight):
        parameter.grad_req = 'write'
    before = net[0].weight.data()
    gradients = jax.grad(lambda p: loss.L2Loss()(net.apply(p, batch[0]), batch[1]).mean())(net.params)
    trainer.step(*batch)
    expected = 0.9 * moments['0.weight'] - 1e-3 * gradients['0']['weight']
    np.testing.assert_allclose(net[0].weight.data() - before, expected, rtol=1e-4)


@contextlib.contextmanager
def lowerings(events):
    def listener(event, duration, **_):
        if 'jaxpr_to_mlir' in event:
            events.append(event)

    jax.monitoring.register_event_duration_secs_listener(listener)
    try:
        yield
    finally:
        jax.monitoring.unregister_event_duration_listener(listener)


def test_thawing_back_compiles_nothing():
    net, trainer, batch = frozen_trainer('adam')

    def set_and_step(value):
        net[0].weight.grad_req = value
        for _ in range(2):
            trainer.step(*batch)

    for value in ('write', 'null', 'write', 'null'):
        set_and_step(value)
    lowered = []
    with lowerings(lowered):
        for value in ('write', 'null', 'write'):
            set_and_step(value)
    assert lowered == []
    assert int(flatten(trainer.state.optimizer.counts)['0.weight']) == 8
    assert int(trainer.state.optimizer.count) == 14


def test_resetting_forgets_what_is_frozen():
    net, trainer, batch = frozen_trainer('sgd', momentum=0.9)
    trainer.step(*batch)
    net[0].weight.grad_req = 'null'
    trainer.step(*batch)
    trainer.reset_optimizer('0.weight')
    net[0].weight.grad_req = 'write'
    gradients = jax.grad(lambda p: loss.L2Loss()(net.apply(p, batch[0]), batch[1]).mean())(net.params)
    before = net[0].weight.data()
    trainer.step(*batch)
    np.testing.assert_allclose(net[0].weight.data() - before, -0.1 * gradients['0']['weight'], rtol=1e-5)


@pytest.mark.parametrize('precision', [None, 'bfloat16', 'float16'])
def test_a_whole_training_under_strict_promotion(precision):
    layers = nn.Conv2D(4, 3), nn.BatchNorm(), nn.MaxPool2D(), nn.Dropout(0.5), nn.Dense(3)
    net, batch = nn.Sequential(*layers), (jnp.ones((4, 3, 8, 8)), jnp.arange(4) % 3)
    net.initialize(key=0)
    measured = ['acc', metric.CrossEntropy(from_logits=True)]
    options = dict(metrics=measured, precision=precision, average=0.9, accumulate=2, clip_global_norm=1.0)
    with jax.numpy_dtype_promotion('strict'):
        trainer = Trainer(net, loss.SoftmaxCELoss(), 'adam', key=0, **options)
        for _ in range(2):
            assert np.isfinite(trainer.step(*batch))
        assert np.isfinite(list(trainer.evaluate([batch]).values())).all()


@pytest.mark.parametrize('count', [1, 16, 40])
def test_scalars_are_computed_as_vectors_and_keep_their_order(count):
    numbers = [jnp.int32(i + 1) for i in range(count)]
    powers = transforms.vectorized(lambda n: transforms.one_minus_power(0.9, n), numbers)
    np.testing.assert_allclose(powers, [1 - 0.9 ** (i + 1) for i in range(count)], rtol=1e-6)
    assert all(power.shape == () for power in powers)
