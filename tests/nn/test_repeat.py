"""Repeat, Remat, and what they are built from: `self.scan`, `self.checkpoint` and stacked parameters."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from layer_cases import definition_of

from gluonjax import Param, errors, init, make_step, nn
from gluonjax.tree import flatten

KEY = jax.random.key(0)
X = np.random.RandomState(0).standard_normal((6, 4)).astype('float32')


def block(rate=0.0):
    return nn.Sequential(nn.Dense(4, 'tanh'), nn.BatchNorm(momentum=0.5), nn.Dropout(rate))


def in_a_row(layer, params, x, train=False):
    """What n layers after each other compute, and the params that they record, stacked again."""
    news = []
    for i in range(jax.tree.leaves(params)[0].shape[0]):
        own = jax.tree.map(lambda v, i=i: v[i], params)
        x, own = layer.apply_train(own, x) if train else (layer.apply(own, x), own)
        news.append(own)
    return x, jax.tree.map(lambda *v: jnp.stack(v), *news)


def close(got, expected, tolerance=1e-5):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, tolerance, tolerance), got, expected)


@pytest.mark.parametrize(('remat', 'unroll'), [(False, 1), (True, 2), ('everything', 5)])
def test_repeat_is_its_layers_in_a_row(remat, unroll):
    layer, one = nn.Repeat(block(), 5, remat, unroll), definition_of(block())
    params = layer.init(KEY, X, init=init.Normal(1))
    params['copies']['1']['running_var'] += np.arange(5, dtype='float32')[:, None]
    close(layer.apply(params, X), in_a_row(one, params['copies'], X)[0])
    y, news = layer.apply_train(params, X)
    close((y, news['copies']), in_a_row(one, params['copies'], X, train=True))

    weights = np.arange(24.0, dtype='float32').reshape(6, 4)
    mine = jax.jit(jax.grad(lambda p, x: (layer.apply_train(p, x)[0] * weights).sum(), (0, 1)))(params, X)
    theirs = jax.grad(lambda p, x: (in_a_row(one, p['copies'], x, True)[0] * weights).sum(), (0, 1))(params, X)
    close(mine, theirs, 2e-4)


def stored(remat):
    """The shapes, of a copy, and dtypes that the backward pass of a block is given by the forward pass."""

    wide, narrow = nn.Dense(8, 'gelu', flatten=False), nn.Dense(4, flatten=False)
    layer = nn.Repeat(nn.Sequential(nn.LayerNorm(), wide, nn.Dropout(0.5), narrow), COPIES, remat)
    x = jnp.ones((6, 4), 'bfloat16')
    params = jax.tree.map(lambda v: v.astype('bfloat16'), layer.init(KEY, X))

    def loss(params, x):
        return layer.apply_train(params, x, key=KEY)[0].sum()

    jaxpr = jax.make_jaxpr(jax.grad(loss))(params, x).jaxpr
    forward = next(eqn for eqn in jaxpr.eqns if eqn.primitive.name == 'scan')
    avals = [v.aval for v in forward.outvars]  # the carry has no axis of copies
    return sorted((str(aval.dtype), aval.shape[1:]) for aval in avals if aval.ndim > 1 and aval.shape[0] == COPIES)


COPIES = 3
INPUT, OTHERS = ('bfloat16', (6, 4)), [('bfloat16', (6, 8)), ('bool', (6, 8)), ('float32', (6, 1))]


def test_what_is_stored_for_the_backward_pass():
    by_default = stored(False)
    assert INPUT in by_default
    assert set(OTHERS) <= set(by_default)
    assert ('float32', (6, 8)) not in by_default  # what gelu computes
    assert ('bfloat16', (8, 4)) not in by_default  # parameters, again
    assert stored('nothing') == stored(True) == [INPUT]
    assert set(stored(['dropout mask'])) == {INPUT, OTHERS[1]}
    assert set(stored('dots')) == {INPUT, OTHERS[0]}
    assert ('bfloat16', (8, 4)) in stored('everything')


@pytest.mark.parametrize('wrong', ['dot', 3, ['a', 2], None])
def test_policies_that_are_none(wrong):
    with pytest.raises(errors.ArgumentError, match='remat is no policy'):
        nn.Repeat(nn.Dense(4), 2, remat=wrong)
    if wrong is not None:
        with pytest.raises(errors.ArgumentError, match='policy is no policy'):
            nn.Remat(nn.Dense(4), wrong)


def test_names_and_specs_say_what_repeat_holds():
    net = nn.Sequential(nn.Dense(4), nn.Repeat(block(), 48))
    specs = net.specs(X)
    assert specs['1.copies.0.weight'].shape == (48, 4, 4)
    assert specs['1.copies.0.weight'].copies == (48,)
    assert '48 x (4, 4)' in repr(specs)
    assert specs.size == 20 + 48 * (20 + 16)
    assert 'Repeat(48' in repr(net)
    assert 'parameters: 1,748;' in net.definition.summary(X)


def test_each_copy_is_initialized_as_if_it_were_alone():
    layer = nn.Repeat(nn.Dense(30, weight_initializer='xavier'), 50)
    weight = layer.init(KEY, jnp.ones((1, 30)))['copies']['weight']
    bound = np.sqrt(3 / 30)
    assert 0.99 * bound < abs(weight).max() <= bound  # of (30, 30), not of (50, 30, 30)
    assert len(np.unique(np.asarray(weight))) > 0.99 * weight.size
    orthogonal = layer.init(KEY, jnp.ones((1, 30)), init={'.*weight': init.Orthogonal(scale=1)})['copies']['weight']
    close(jnp.einsum('nij,nkj->nik', orthogonal, orthogonal), np.tile(np.eye(30), (50, 1, 1)), 1e-4)
    assert abs(orthogonal[0] - orthogonal[1]).max() > 0.1


def test_an_initializer_of_ones_own_is_asked_for_each_copy():
    asked = []

    def mine(key, shape, dtype):
        asked.append(shape)
        return jax.random.normal(key, shape, dtype)

    params = nn.Repeat(nn.Dense(2, weight_initializer=mine), 3).init(KEY, jnp.ones((1, 2)))
    assert asked == [(2, 2)] * 3
    assert len(np.unique(params['copies']['weight'])) == 12


def test_values_do_not_depend_on_when_they_are_drawn():
    layer = nn.Repeat(nn.Repeat(nn.Dense(3), 2), 4)
    at_once = nn.Repeat(nn.Repeat(nn.Dense(3, in_units=3), 2), 4).init(KEY)
    x = jnp.ones((2, 3))
    for params in (layer.init(KEY, x), jax.jit(layer.init)(KEY, x), layer.reinit(layer.init(1, x), KEY)):
        jax.tree.map(np.testing.assert_array_equal, params, at_once)
    net = nn.Sequential(layer)
    net.initialize(key=KEY)
    net(x)
    jax.tree.map(np.testing.assert_array_equal, net.params, nn.Sequential(layer).init(KEY, x))
    assert net[0].copies.copies.weight.shape == (4, 2, 3, 3)


def test_dropout_draws_a_mask_for_each_copy():
    class Mask(nn.Layer):
        def forward(self, x):
            noise = jax.random.uniform(self.next_key(), x.shape)
            return 10 * x + jnp.round(9 * noise)

    digits = nn.Repeat(Mask(), 3).apply_train({}, jnp.zeros((2, 40)), key=0)[0]
    first, second, third = digits // 100, digits // 10 % 10, digits % 10
    for one, other in ((first, second), (second, third), (first, third)):
        assert (one != other).mean() > 0.7
    again = jax.jit(lambda key: nn.Repeat(Mask(), 3).apply_train({}, jnp.zeros((2, 40)), key=key)[0])(jax.random.key(0))
    np.testing.assert_array_equal(again, digits)


def test_what_is_stored_does_not_change_the_masks_of_dropout():
    x, losses = np.ones((2, 4), 'float32'), set()
    for remat in (False, True, 'everything', 'dots'):
        layer = nn.Repeat(nn.Sequential(nn.Dense(4, in_units=4), nn.Dropout(0.5)), 2, remat)
        losses.add(float(layer.apply_train(layer.init(0), x, key=1)[0].sum()))
    assert len(losses) == 1


def test_dropout_in_remat_is_the_same_in_the_gradient():
    layer = nn.Remat(nn.Dropout(0.5))
    x = jnp.ones((8, 8))
    y = layer.apply_train({}, x, key=3)[0]
    assert 0 < (y == 0).sum() < 64
    np.testing.assert_array_equal(jax.grad(lambda x: layer.apply_train({}, x, key=3)[0].sum())(x), y)


def size_of(jaxpr):
    return str(jaxpr).count(' = ')


def test_the_program_does_not_grow_with_the_copies():
    sizes = [
        size_of(jax.make_jaxpr(jax.grad(lambda p, layer=layer: layer.apply(p, X).sum()))(layer.init(0, X)))
        for layer in (nn.Repeat(block(), 2), nn.Repeat(block(), 90))
    ]
    assert sizes[0] == sizes[1]


def test_remat_recomputes():
    def cosines(layer):
        return str(jax.make_jaxpr(jax.grad(lambda x: layer.apply({}, x).sum()))(jnp.ones(3))).count('= exp')

    plain = nn.Lambda(lambda x: jnp.sin(jnp.exp(x)))
    assert (cosines(plain), cosines(nn.Remat(plain))) == (1, 2)
    kept = nn.Remat(plain, policy=jax.checkpoint_policies.everything_saveable)
    assert cosines(kept) == 1


def test_remat_is_its_layer():
    layer, one = nn.Remat(block(), policy=None), definition_of(block())
    params = one.init(KEY, X)
    close(layer.apply({'layer': params}, X), one.apply(params, X))
    y, news = layer.apply_train({'layer': params}, X)
    close((y, news['layer']), one.apply_train(params, X))
    assert list(layer.specs(X))[:2] == ['layer.0.weight', 'layer.0.bias']
    gradient = jax.grad(lambda p, f: f(p)[0].sum() ** 2)(params, lambda p: layer.apply_train({'layer': p}, X))
    close(gradient, jax.grad(lambda p: one.apply_train(p, X)[0].sum() ** 2)(params), 1e-4)


def test_inputs_beside_the_first_go_to_every_copy():
    class Add(nn.Layer):
        def forward(self, x, y, *, scale):
            return x + scale * y

    x, y = jnp.ones((2, 3)), jnp.arange(6.0).reshape(2, 3)
    for layer in (nn.Repeat(Add(), 4), nn.Repeat(Add(), 4, remat=True)):
        close(layer.apply({}, x, y, scale=jnp.asarray(2.0)), 1 + 8 * y)


def test_pytrees_are_carried():
    class Swap(nn.Layer):
        def forward(self, pair):
            return {'a': pair['b'] + 1, 'b': pair['a']}

    out = nn.Repeat(Swap(), 3).apply({}, {'a': jnp.zeros(2), 'b': jnp.ones(2)})
    close(out, {'a': np.full(2, 3.0), 'b': np.full(2, 1.0)})


def test_vmap_and_ensembles():
    layer = nn.Repeat(block(), 3)
    keys = jax.random.split(KEY, 2)
    params = jax.vmap(layer.init, (0, None))(keys, X)
    y = jax.vmap(layer.apply, (0, None))(params, X)
    for i in range(2):
        close(y[i], layer.apply(layer.init(keys[i], X), X))


def test_in_a_network():
    net = nn.Sequential(nn.Dense(4), nn.Repeat(block(0.5), 3), nn.Dense(1))
    net.initialize()
    net(X)
    before = net[1].copies[1].running_mean.data()
    net(X, training=True)
    after = net[1].copies[1].running_mean.data()
    assert after.shape == (3, 4)
    assert (abs(after - before).max(1) > 0).all()
    for copied in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        np.testing.assert_array_equal(copied(X), net(X))
    net[1].copies[0].weight.initialize('xavier', force_reinit=True)
    net.cast('bfloat16')
    assert net(X.astype('bfloat16')).dtype == 'bfloat16'


def test_two_repeats_can_be_tied():
    first = nn.Repeat(nn.Dense(4), 3)
    net = definition_of(nn.Sequential(first, nn.Repeat(nn.Dense(4), 3, params=first.params)))
    params = net.init(KEY, X)
    assert list(flatten(params)) == ['0.copies.weight', '0.copies.bias']
    one = nn.Dense(4)
    expected = in_a_row(one, params['0']['copies'], in_a_row(one, params['0']['copies'], X)[0])[0]
    close(net.apply(params, X), expected)


class Shift(nn.Layer):
    """Its shape is unknown altogether."""

    def __init__(self):
        self.shift = Param()

    def infer_shape(self, x):
        return {'shift': x.shape}

    def forward(self, x):
        return x + self.shift


@pytest.mark.parametrize('make', [lambda: nn.Dense(4), Shift])
def test_copies_are_not_tied_to_one(make):
    shared = make()
    with pytest.raises(errors.TieError):
        nn.Sequential(shared, nn.Repeat(shared, 3)).specs(X)


def test_copies_of_an_unknown_shape():
    assert nn.Repeat(Shift(), 3).specs(X)['copies.shift'].shape == (3, 6, 4)


# Errors.


def test_a_layer_that_changes_its_input_cannot_be_repeated():
    with pytest.raises(errors.ShapeError, match=r'differs from its input[\s\S]*\(6, 4\)[\s\S]*\(6, 3\)'):
        nn.Repeat(nn.Dense(3), 2).init(0, X)
    layer = nn.Repeat(nn.Dense(4), 2)
    with pytest.raises(errors.ShapeError, match='bfloat16'):
        layer.apply(layer.init(0, X), X.astype('bfloat16'))


@pytest.mark.parametrize('n', [0, -1, 2.5, True])
def test_wrong_number_of_copies(n):
    with pytest.raises(errors.ArgumentError, match='n must be'):
        nn.Repeat(nn.Dense(3), n)


@pytest.mark.parametrize('build', [lambda layer: nn.Repeat(layer, 2), nn.Remat])
def test_what_can_be_wrapped(build):
    with pytest.raises(errors.ArgumentError, match='layer must be a layer or a network'):
        build(jnp.tanh)
    net = nn.Sequential(nn.Dense(2, in_units=2))
    net.initialize()
    with pytest.raises(errors.ArgumentError, match='was initialized'):
        build(net)


def test_a_single_copy_cannot_be_called():
    net = nn.Sequential(nn.Repeat(nn.Dense(4), 3))
    net.initialize()
    net(X)
    with pytest.raises(errors.BareLayerError, match=r'stacks \(3,\) copies[\s\S]*call the layer that repeats it'):
        net[0].copies(X)


def test_wrong_params_of_a_repeat():
    layer = nn.Repeat(nn.Dense(4), 3)
    params = layer.init(0, X)
    params['copies']['weight'] = params['copies']['weight'][:2]
    with pytest.raises(errors.ParamsError, match=r'copies.weight: expected \(3, 4, None\), got \(2, 4, 4\)'):
        layer.apply(params, X)


# The scan and the checkpoint that any layer can use.


class Rows(nn.Layer):
    """Scans over the first axis: a running sum of `layer`, through statistics and keys."""

    def __init__(self, layer):
        self.layer = layer
        self.seen = Param((), init='zeros', trainable=False)

    def forward(self, xs):
        def body(total, x):
            self.seen = self.seen + 1
            total = total + self.layer(x)
            return total, (total, self.seen)

        return self.scan(body, jnp.zeros(xs.shape[1:]), xs)


def test_scan_carries_what_is_recorded():
    layer = Rows(nn.BatchNorm(momentum=0.5))
    xs = np.random.RandomState(1).standard_normal((4, 3, 2)).astype('float32')
    params = layer.init(0, xs)
    (total, (totals, seen)), news = layer.apply_train(params, xs)
    norm, own, expected = nn.BatchNorm(momentum=0.5), params['layer'], 0
    for i, x in enumerate(xs):
        y, own = norm.apply_train(own, x)
        expected = expected + y
        close((totals[i], seen[i]), (expected, i + 1.0))
    close((total, news), (expected, {'layer': own, 'seen': 4.0}))
    close(jax.jit(layer.apply_train)(params, xs)[1], news)


def test_scan_in_inference_leaves_statistics():
    layer = Rows(nn.BatchNorm())
    xs = np.ones((4, 3, 2), 'float32')
    params = layer.init(0, xs)
    close(layer.apply(params, xs)[1][1], [1.0, 2.0, 3.0, 4.0])
    assert layer.apply_train(params, xs[:0])[1]['seen'] == 0  # no step, no news


def test_scan_gives_each_step_its_key():
    class Noise(nn.Layer):
        def forward(self, x):
            return x + jax.random.normal(self.next_key(), x.shape)

    totals = Rows(Noise()).apply_train({'seen': jnp.zeros(())}, jnp.zeros((5, 8)), key=0)[0][1][0]
    steps = np.diff(np.concatenate([np.zeros((1, 8)), totals]), axis=0)
    assert len(np.unique(steps.round(4))) == 40


class Lengths(nn.Layer):
    def __init__(self, **options):
        self.options = options

    def forward(self, x):
        return self.scan(lambda total, x: (total + 1, (total, x)), 0, **self.options)


def test_scan_takes_what_lax_scan_takes():
    total, (counts, xs) = Lengths(length=3).apply({}, jnp.ones(1))
    close((total, counts), (3, [0, 1, 2]))
    assert xs is None
    total, (counts, _) = Lengths(length=3, reverse=True).apply({}, jnp.ones(1))
    close(counts, [2, 1, 0])
    with pytest.raises(errors.ArgumentError, match='give xs or length'):
        Lengths().apply({}, jnp.ones(1))


def test_scan_outside_of_forward():
    for call in (lambda: nn.Dense(2).scan(None, 0), lambda: nn.Dense(2).checkpoint(None)):
        with pytest.raises(errors.BareLayerError, match='only in forward'):
            call()


def test_a_failed_scan_changes_nothing():
    class Fails(nn.Layer):
        def __init__(self):
            self.seen = Param((), init='zeros', trainable=False)

        def forward(self, x):
            def body(carry, x):
                self.seen = self.seen + 1
                raise RuntimeError('on purpose')

            try:
                self.scan(body, 0, x)
            except RuntimeError:
                self.seen = self.seen + 10
            return x

    assert Fails().apply_train({'seen': jnp.zeros(())}, jnp.ones(2))[1]['seen'] == 10


def test_recording_in_a_plain_scan_is_still_refused():
    class Plain(nn.Layer):
        def __init__(self):
            self.norm = nn.BatchNorm()

        def forward(self, xs):
            return self.scan(lambda c, x: (c, jax.vmap(lambda row: self.norm(row[None]))(x)), 0, xs)

    xs = jnp.ones((2, 3, 4))
    layer = Plain()
    params = {'norm': nn.BatchNorm(in_channels=4).init(0)}
    assert layer.apply(params, xs)[1].shape == (2, 3, 1, 4)
    with pytest.raises(errors.TransformationError, match='recorded inside a transformation'):
        layer.apply_train(params, xs)


def test_policies_know_the_convolutions():
    x = jnp.ones((1, 2, 5, 5))
    layer = nn.Sequential(nn.Conv2D(2, 3, padding=1, groups=2, in_channels=2, activation='tanh')).definition

    def gradients(remat):
        for each in (nn.Remat(layer, remat), nn.Repeat(layer, 2, remat or True)):
            yield jax.make_jaxpr(jax.grad(lambda p, each=each: each.apply(p, x).sum()))(each.init(0, x))
        direct = jax.checkpoint(lambda p: layer.apply(p, x).sum(), policy=remat)
        yield jax.make_jaxpr(jax.grad(direct))(layer.init(0, x))
        step = make_step(layer, lambda y, _: y.sum((1, 2, 3)), remat=remat or True)
        yield jax.make_jaxpr(step)(step.init(0, (x, jnp.ones(1))), (x, jnp.ones(1)))

    def counts(remat):
        return [str(jaxpr).count(' = convolution[') for jaxpr in gradients(remat)]

    again, saved = counts(None), counts(jax.checkpoint_policies.dots_saveable)
    assert [a - b for a, b in zip(again, saved, strict=True)] == [1] * 4  # the output is not computed again
    offloading = jax.checkpoint_policies.save_and_offload_only_these_names(
        names_which_can_be_saved=[],
        names_which_can_be_offloaded=[],
        offload_src='device',
        offload_dst='pinned_host',
    )
    assert counts(offloading) == again
