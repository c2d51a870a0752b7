"""What can be seen of a network: a walk over its blocks, hooks, and the outputs of the layers in it."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gluonjax
from gluonjax import Block, errors, nn
from gluonjax.block import structure_of
from gluonjax.loss import L2Loss

X = np.linspace(-1, 1, 6, dtype='float32').reshape(2, 3)


class Backbone(Block):
    def __init__(self):
        self.stem = nn.Dense(4, activation='tanh')
        self.stages = [nn.Dense(3), nn.Repeat(nn.Dense(3, activation='sigmoid'), 2)]
        self.unused = nn.Dense(5, in_units=1)

    def forward(self, x):
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
        return 2 * x


def network():
    net = nn.Sequential(Backbone(), nn.Dense(2))
    net.initialize('xavier', key=0)
    return net


@pytest.fixture(scope='module')
def shared():
    return network()


def by_hand(params, x):
    """Path -> output, in NumPy."""
    w = jax.tree.map(np.asarray, params)
    backbone, stages = w['0'], w['0']['stages']
    dense = lambda p, x: x @ p['weight'].T + p['bias']  # noqa: E731
    outputs = {'0.stem': np.tanh(dense(backbone['stem'], x))}
    outputs['0.stages.0'] = y = dense(stages['0'], outputs['0.stem'])
    copies = []
    for i in range(2):
        copies.append(1 / (1 + np.exp(-dense({k: v[i] for k, v in stages['1']['copies'].items()}, y))))
        y = copies[-1]
    outputs['0.stages.1.copies'] = np.stack(copies)
    outputs['0.stages.1'], outputs['0'] = y, 2 * y
    outputs['1'] = outputs[''] = dense(w['1'], outputs['0'])
    return outputs


def assert_equal(outputs, expected):
    assert list(outputs) == list(expected)
    for path, output in outputs.items():
        np.testing.assert_allclose(output, expected[path], rtol=1e-4, atol=1e-6, err_msg=path)


# Intermediate outputs.


def test_outputs_of_all_layers_in_the_order_in_which_they_ran(shared):
    outputs = shared.intermediates(X)  # the first call: what is deferred is drawn
    expected = by_hand(shared.params, X)
    assert_equal(outputs, expected)
    np.testing.assert_allclose(shared(X), expected[''], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ('select', 'paths'),
    [
        ([1, 0], ['1', '0']),
        (1, ['1']),
        (r'0\.st.*s\.\d$', ['0.stages.0', '0.stages.1']),
        (('', '0.stages.1.copies'), ['', '0.stages.1.copies']),
    ],
)
def test_selected_layers(shared, select, paths):
    expected = by_hand(shared.params, X)
    assert_equal(shared.intermediates(X, select=select), {path: expected[path] for path in paths})


def test_the_pure_function_inside_jit_and_grad(shared):
    def content(params):
        return (shared.definition.intermediates(params, X, select=['0.stem'])['0.stem'] ** 2).sum()

    gradient = jax.jit(jax.grad(content))(shared.params)
    stem = by_hand(shared.params, X)['0.stem']
    np.testing.assert_allclose(gradient['0']['stem']['bias'], (2 * stem * (1 - stem**2)).sum(0), rtol=1e-4, atol=1e-6)
    assert not jnp.any(gradient['1']['weight'])
    style = jax.jit(jax.grad(lambda x: shared.intermediates(x, select=['0.stem'])['0.stem'].sum()))(jnp.asarray(X))
    np.testing.assert_allclose(
        style, (1 - stem**2) @ np.asarray(shared.params['0']['stem']['weight']), rtol=1e-4, atol=1e-6
    )


def test_only_what_is_needed_is_computed(shared):
    text = jax.jit(lambda p: shared.definition.intermediates(p, X, select=['0.stem'])).lower(shared.params).as_text()
    everything = jax.jit(lambda p: shared.definition.intermediates(p, X)).lower(shared.params).as_text()
    assert text.count('dot_general') < everything.count('dot_general')


def test_in_forward_of_a_network_around(shared):
    class Detector(Block):
        def __init__(self, backbone, transform=lambda function, x: function(x)):
            self.backbone, self.transform = backbone, transform

        def forward(self, x):
            def features(x):
                return self.backbone.intermediates(x, select=['stem', 'stages.0'])

            return jnp.concatenate(list(self.transform(features, x).values()), axis=-1)

    expected = by_hand(shared.params, X)
    joined = np.concatenate([expected['0.stem'], expected['0.stages.0']], 1)
    np.testing.assert_allclose(Detector(shared[0])(X), joined, rtol=1e-4, atol=1e-6)

    def mapped(function, x):
        return jax.tree.map(lambda y: y[:, 0], jax.vmap(lambda row: function(row[None]))(x))

    np.testing.assert_allclose(Detector(shared[0], mapped)(X), joined, rtol=1e-4, atol=1e-6)
    outer = Detector(shared[0]).intermediates(X)  # and of the layers in a network that asks for some of them itself
    assert list(outer)[:2] == ['backbone.stem', 'backbone.stages.0']
    np.testing.assert_allclose(outer[''], joined, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(outer['backbone'], expected['0'], rtol=1e-4, atol=1e-6)


def test_op_by_op_and_of_a_network_that_records():
    net = nn.Sequential(nn.BatchNorm(epsilon=0.0), nn.Remat(nn.BatchNorm(epsilon=0.0)))
    net.initialize()
    net.hybridize(active=False)
    normalized = (X - X.mean(0)) / X.std(0)
    outputs = net.intermediates(X, training=True)
    assert list(outputs) == ['0', '1.layer', '1', '']
    np.testing.assert_allclose(outputs['1.layer'], normalized, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(net[0].running_mean.data(), 0.1 * X.mean(0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('select', ['2', [0, 7], [], ['0.unused']])
def test_layers_that_did_not_run_are_refused(shared, select):
    with pytest.raises(errors.PatternError, match=r"(?s)select=.*expected: \['0.stem', '0.stages.0'"):
        shared.intermediates(X, select=select)


def test_a_transformation_of_ones_own_is_refused_and_can_be_left_out():
    class Mapped(Block):
        def __init__(self):
            self.first, self.second = nn.Dense(2), nn.Dense(2)

        def forward(self, x):
            return jax.vmap(self.second)(self.first(x))

    net = Mapped()
    net.initialize(key=0)
    with pytest.raises(errors.TransformationError, match='layer second ran inside a transformation'):
        net.intermediates(X)
    assert list(net.intermediates(X, select=['first', ''])) == ['first', '']


def test_another_method_of_a_network():
    class Coder(Block):
        def __init__(self):
            self.encoder, self.decoder = nn.Dense(2), nn.Dense(3, in_units=2)

        def encode(self, x):
            return self.encoder(x)

        def forward(self, x):
            return self.decoder(self.encode(x))

    net = Coder()
    net.initialize(key=0)
    code = net(X, method='encode')  # the first call: it decides the shapes that it needs
    np.testing.assert_allclose(code, X @ np.asarray(net.encoder.weight).T, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(net(X, method='forward'), net(X), rtol=1e-5)
    assert net.definition.init(0, X, method='encode')['encoder']['weight'].shape == (2, 3)
    for wrong in ('encod', 3):
        with pytest.raises(errors.ArgumentError, match=rf'Coder has no method {wrong!r}'):
            net(X, method=wrong)


# Hooks.


def test_hooks_see_arrays_op_by_op(shared):
    net, seen = copy.deepcopy(shared), []
    net.hybridize(active=False)
    net[0].stem.register_forward_pre_hook(lambda block, inputs: seen.append((block, inputs)))
    net[0].stem.register_forward_hook(lambda *call: seen.append(call) or 'ignored')
    net[1].register_forward_hook(lambda block, inputs, output: seen.append('later'))
    y, expected = net(X), by_hand(shared.params, X)
    np.testing.assert_allclose(y, expected[''], rtol=1e-4, atol=1e-6)
    before, after, later = seen
    assert before[0] is after[0] is net[0].stem
    assert later == 'later'
    np.testing.assert_array_equal(before[1][0], X)
    np.testing.assert_array_equal(after[1][0], X)
    np.testing.assert_allclose(after[2], expected['0.stem'], rtol=1e-4, atol=1e-6)
    net(X)
    assert len(seen) == 6


def test_hooks_of_a_compiled_network_are_called_while_it_is_traced():
    net, seen = network(), []
    handle = net[0].register_forward_hook(lambda block, inputs, output: seen.append(output.shape))
    net(X)  # not while shapes are inferred
    net(X)
    assert seen == [(2, 3)]
    net.apply(net.params, X)
    assert seen == [(2, 3)] * 2
    handle.detach()
    handle.detach()
    before = net(X)
    program = structure_of(net).inference()
    with net[1].register_forward_pre_hook(lambda block, inputs: seen.append(inputs[0].shape)):
        np.testing.assert_array_equal(net(X), before)
        assert seen == [(2, 3)] * 3
    net(X)
    net.apply(net.params, X)
    assert seen == [(2, 3)] * 3
    assert structure_of(net).inference() is program  # that of before, not a new one


def test_hooks_are_called_in_the_order_in_which_they_came_and_one_function_may_come_twice():
    net, seen = nn.Sequential(nn.Dense(1, in_units=1)), []
    net.initialize(key=0)

    def hook(block, inputs, output):
        seen.append('twice')

    first = net.register_forward_hook(hook)
    net.register_forward_hook(lambda block, inputs, output: seen.append('between'))
    net.register_forward_hook(hook)
    net(jnp.ones((1, 1)))
    assert seen == ['twice', 'between', 'twice']
    first.detach()
    net(jnp.ones((1, 1)))
    assert seen[3:] == ['between', 'twice']


def test_hooks_run_in_a_trainers_steps_until_they_are_detached():
    net, values = nn.Sequential(nn.Dense(2, in_units=3)), []
    net.initialize(key=0)
    trainer = gluonjax.Trainer(net, L2Loss(), key=0)
    y = jnp.zeros((2, 2))
    x = jnp.asarray(X)
    trainer.step(x, y)
    with net[0].register_forward_hook(
        lambda block, inputs, output: jax.debug.callback(lambda loss: values.append(float(loss)), (output**2).mean())
    ):
        losses = [float(trainer.step(x, y)) for _ in range(2)]
    jax.effects_barrier()
    trainer.step(x, y)
    jax.effects_barrier()
    np.testing.assert_allclose(values, 2 * np.array(losses), rtol=1e-5)


def test_copies_and_pickles_have_no_hooks():
    net, seen = nn.Sequential(nn.Dense(1, in_units=3)), []
    net.initialize(key=0)
    net[0].register_forward_hook(lambda block, inputs, output: seen.append(block))
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net)), copy.deepcopy(net.definition)):
        getattr(twin, 'definition', twin).apply(net.params, X)
    assert seen == []
    net(X)
    assert seen == [net[0]]


def test_an_error_of_a_hook_names_the_layer_and_changes_nothing(shared):
    def hook(block, inputs, output):
        raise RuntimeError('stop')

    with shared[1].register_forward_hook(hook), pytest.raises(RuntimeError, match='stop') as caught:
        shared(X)
    assert caught.value.__notes__[0] == 'in layer 1 (Dense), input (2, 3)'
    shared(X)


@pytest.mark.parametrize('hook', ['print', lambda block: None, None])
def test_what_cannot_be_a_hook_is_refused(shared, hook):
    with pytest.raises(errors.ArgumentError, match=r'(?s)cannot be a hook.*hook\(block, inputs, output\)'):
        shared.register_forward_hook(hook)
    with pytest.raises(errors.ArgumentError, match=r'(?s)cannot be a hook.*hook\(block, inputs\)'):
        shared.register_forward_pre_hook(hook)


# The walk over blocks.


def test_a_walk_over_all_blocks_children_first(shared):
    names = ['0.stem', '0.stages.0', '0.stages.1.copies', '0.stages.1', '0.unused', '0', '1', '']
    blocks = dict(shared.named_blocks())
    assert list(blocks) == names
    assert blocks['0.stages.0'] is shared[0].stages[0]
    assert blocks[''] is shared
    visited = []
    assert shared.visit(visited.append) is shared
    assert [id(block) for block in visited] == [id(block) for block in blocks.values()]
    assert [name for name, block in shared[0].named_blocks()][-2:] == ['unused', '']


def test_a_function_of_blocks_where_params_belong_is_told_the_walk(shared):
    with pytest.raises(errors.ParamsError, match=r'(?s)got: function.*try: net.visit\(function\)'):
        shared.apply(lambda block: None)


def test_hooks_of_a_slice_stay_when_the_structure_changes():
    net, seen = nn.Sequential(nn.Dense(4), nn.Dense(3), nn.Dense(2)), []
    net.initialize(key=0)
    net(jnp.ones((1, 2)))
    handle = net[1:3].register_forward_hook(lambda block, inputs, output: seen.append(output.shape))
    net[1].weight.grad_req = 'null'
    net[1:3](jnp.ones((1, 4)))
    net.add(nn.Dense(5))
    net[1:3](jnp.ones((2, 4)))
    assert seen == [(1, 2), (2, 2)]
    handle.detach()
    net[1:3](jnp.ones((3, 4)))
    assert len(seen) == 2
    setattr(net, '1', nn.Dense(6))
    net.initialize(key=1)
    assert net[1:3][0].units == 6
