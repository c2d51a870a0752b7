"""cuDNN's attention: where programs for CUDA have it, that those for other platforms have not, and what is traced."""

import functools
import re

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import MAKE_CONTEXT
from jax._src.interpreters import mlir as internal_mlir
from jax.interpreters import mlir
from jax.sharding import PartitionSpec as P

from gluonjax import errors, load_program, nn, sharding
from gluonjax.io.programs import CUDNN_CALLS

X = jax.ShapeDtypeStruct((2, 4, 16), 'bfloat16')
UNCHECKED = [jax.export.DisabledSafetyCheck.custom_call(name) for name in CUDNN_CALLS]
MASK = np.tri(4, dtype=bool)[None, None]
LENGTHS = np.array([3, 0], 'int32')


def attention(dtype='bfloat16', **options):
    return nn.MultiHeadAttention(16, 2, in_units=16, **options).cast(dtype)


def kernels(layer, platform, x=X, gradient=True, **named):
    """The kinds of attention in the lowered program, which of them is for gradients, and their masks."""

    def loss(params, x):
        return layer.apply(params, x, **named).astype('float32').sum()

    params = jax.eval_shape(layer.init, jax.random.key(0), x)
    function = jax.jit(jax.grad(loss, (0, 1)) if gradient else loss)
    text = jax.export.export(function, platforms=[platform], disabled_checks=UNCHECKED)(params, x).mlir_module()
    masks = set(re.findall(r'mask_type[^A-Z]+([A-Z_]+)', text))
    return sorted(set(re.findall(r'__cudnn\$fmha(\w+)', text))), masks


FUSED = {  # options, inputs by name, kernel, mask
    'plain': ({}, {}, 'Softmax', 'NO_MASK'),
    'causal_grouped': ({'causal': True, 'num_kv_heads': 1}, {}, 'Softmax', 'CAUSAL'),
    'float16': ({'dtype': 'float16'}, {}, 'Softmax', 'NO_MASK'),
    'lengths': ({}, {'valid_length': LENGTHS}, 'Softmax', 'PADDING'),
    'causal_lengths': ({'causal': True}, {'valid_length': LENGTHS}, 'Softmax', 'PADDING_CAUSAL'),
    'mask': ({'causal': True}, {'mask': MASK}, 'ScaleBiasSoftmax', 'NO_MASK'),
    'forced': ({'implementation': 'cudnn'}, {}, 'Softmax', 'NO_MASK'),
}


@pytest.mark.parametrize('case', FUSED)
def test_programs_for_cuda_have_the_fused_kernel(case):
    options, named, kernel, mask = FUSED[case]
    x = jax.ShapeDtypeStruct(X.shape, options.get('dtype', 'bfloat16'))
    assert kernels(attention(**options), 'cuda', x, **named) == ([kernel, f'{kernel}Backward'], {mask})
    if case in ('causal_lengths', 'float16'):
        assert kernels(attention(**options), 'cpu', x, **named) == ([], set())


@pytest.mark.parametrize(
    ('options', 'x', 'named'),
    [
        ({'implementation': 'xla'}, X, {}),
        ({'dtype': 'float32'}, jax.ShapeDtypeStruct(X.shape, 'float32'), {}),
        ({'head_size': 12}, X, {}),
        ({}, jax.ShapeDtypeStruct((2, 3, 16), 'bfloat16'), {'mask': MASK[..., :3, :3]}),
        ({}, X, {'bias': np.zeros((1, 1, 4, 4), 'float32')}),
    ],
)
def test_what_cudnn_does_not_know_is_left_to_xla(options, x, named):
    assert kernels(attention(**options), 'cuda', x, **named) == ([], set())


def test_decoding_has_the_fused_kernel():
    layer, x = attention(causal=True), jax.ShapeDtypeStruct((2, 1, 16), 'bfloat16')

    def step(params, x, cache):
        return layer.apply(params, x, cache=cache)

    params, cache = jax.eval_shape(layer.init, jax.random.key(0), x), jax.eval_shape(lambda: layer.init_cache(2, 8))
    text = jax.export.export(jax.jit(step), platforms=['cuda'], disabled_checks=UNCHECKED)(
        params, x, cache
    ).mlir_module()
    assert re.findall(r'mask_type[^A-Z]+([A-Z_]+)', text) == ['PADDING']


@pytest.mark.parametrize('implementation', [None, 'cudnn'])
def test_shapes_are_inferred_in_any_precision(implementation):
    layer = nn.MultiHeadAttention(16, 2, implementation=implementation)
    assert layer.specs(np.ones((2, 4, 6), 'float32'))['query.weight'].shape == (16, 6)
    assert layer.cast('bfloat16').specs(np.ones((2, 4, 6), 'bfloat16'))['query.weight'].shape == (16, 6)


def test_what_is_forced_and_cannot_be_is_refused_when_it_is_compiled():
    for options, platform, got in (
        ({}, 'cpu', 'a program for cpu'),
        ({'head_size': 12}, 'cuda', 'head dim must be'),
    ):
        layer = attention(implementation='cudnn', **options)
        plain = attention(implementation='xla', **options)
        assert jax.eval_shape(layer.init, jax.random.key(0), X) == jax.eval_shape(plain.init, jax.random.key(0), X)
        with pytest.raises(errors.ArgumentError, match=rf"'cudnn' asks for a kernel(.|\n)*got: (.|\n)*{got}"):
            kernels(layer, platform)
    x = jnp.ones(X.shape, X.dtype)
    params = attention().init(0, x)
    with pytest.raises(errors.ArgumentError, match=r'got: a program for cpu(.|\n)*implementation=None'):
        jax.vmap(attention(implementation='cudnn').apply, (None, 0))(params, x[None])


@functools.cache
def values():
    layer = attention()
    params = layer.init(jax.random.key(0), X)
    x, memory = (jax.random.normal(jax.random.key(i), (3, *X.shape), 'bfloat16') for i in (1, 2))
    return layer, params, x, memory


def test_numbers_are_those_of_xla_and_vmap_takes_any_inputs():
    layer, params, x, memory = values()
    plain = attention(implementation='xla')

    def slopes(layer, x, memory, mask, lengths):
        def loss(x, memory):
            return layer.apply(params, x, memory, mask=mask, valid_length=lengths).astype('float32').sum()

        return jax.grad(loss, (0, 1))(x, memory)

    def mapped(layer, axes):
        return jax.jit(jax.vmap(functools.partial(slopes, layer), axes))

    lengths = jnp.array([[3, 4], [1, 2], [4, 4]])
    for axes, arrays in (
        ((1, None, None, None), (x.swapaxes(0, 1), memory[0], None, lengths[0])),
        ((None, 0, None, 0), (x[0], memory, None, lengths)),
        ((0, 0, None, None), (x, memory, jnp.asarray(MASK), None)),
    ):
        for ours, theirs in zip(mapped(layer, axes)(*arrays), mapped(plain, axes)(*arrays), strict=True):
            np.testing.assert_array_equal(np.asarray(ours, 'float32'), np.asarray(theirs, 'float32'))
    cuda = jax.export.export(mapped(layer, axes), platforms=['cuda'], disabled_checks=UNCHECKED)(*arrays)
    assert 'SoftmaxBackward' in cuda.mlir_module()


def test_programs_are_saved_for_one_platform_or_of_any_batch_for_several(tmp_path):
    net = nn.Sequential(attention())
    net.initialize(key=0)
    x = jnp.ones(X.shape, X.dtype)
    y = np.asarray(net(x), 'float32')
    net.save_program(tmp_path / 'cuda', x, batch_axis=None, platforms=['cuda'])
    with pytest.raises(errors.TransformationError, match='a file for each platform'):
        net.save_program(tmp_path / 'both', x, batch_axis=None, platforms=['cpu', 'cuda'])
    net.save_program(tmp_path / 'open', x, platforms=['cpu', 'cuda'])
    np.testing.assert_allclose(np.asarray(load_program(tmp_path / 'open')(x), 'float32'), y, rtol=0.02, atol=1e-4)


@pytest.mark.parametrize(('kv_heads', 'training', 'heads'), [(2, False, '{?}'), (1, False, '{}'), (1, True, '{?}')])
def test_devices_cut_what_the_kernel_is_given_by_examples_and_heads(kv_heads, training, heads):
    """JAX refuses other ways to cut it; biases and lengths are computed from the query, to be cut as that is."""
    mesh = sharding.auto_mesh(jax.make_mesh((2, 2), ('data', 'model')))
    layer, where = attention(num_kv_heads=kv_heads), jax.sharding.NamedSharding(mesh, P('model'))
    params = jax.eval_shape(layer.init, jax.random.key(0), X)
    params = jax.tree.map(lambda v: jax.ShapeDtypeStruct(v.shape, v.dtype, sharding=where), params)

    def run(params, x, mask):
        return layer.apply_train(params, x, mask=mask)[0] if training else layer.apply(params, x, mask=mask)

    text = jax.jit(run).trace(params, X, MASK).lower(lowering_platforms=('cuda',)).as_text()
    constraints = re.findall(r'sdy.sharding_constraint .* <@mesh, \[(.*)\]>', text)
    assert constraints == [f'{{?}}, {{}}, {heads}, {{}}'] * 3
    assert 'shift_right' in text


def kernel_on_cpu(query, key, value, bias, _, lengths, *others, scale, variadic_args, **options):
    """Stands for cuDNN's kernel: what it is given on one device must fit together."""
    groups = query.shape[2] // key.shape[2]
    products = scale * jnp.einsum('nthd,nshd->nhts', query, jnp.repeat(key, groups, 2)).astype('float32')
    if variadic_args[0]:
        assert bias.shape[:2] == (query.shape[0], query.shape[2])
        products += bias.astype('float32')
    else:
        assert lengths.shape == query.shape[:1]
        valid = jnp.arange(key.shape[1])[None] < lengths[:, None]
        products = jnp.where(valid[:, None, None], products, -jnp.inf)
    weights = jax.nn.softmax(products).astype(value.dtype)
    return [jnp.einsum('nhts,nshd->nthd', weights, jnp.repeat(value, groups, 2))]


@pytest.mark.parametrize(
    ('kv_heads', 'keys', 'named'),
    [
        (2, P('model'), {'bias': jnp.arange(8, dtype='bfloat16').reshape(1, 2, 2, 2)}),  # the same for all examples
        (1, P('data'), {'valid_length': jnp.array([2, 1] * 4)}),  # queries have two heads to cut, keys one
        (2, P(), {'memory': jnp.eye(16, dtype='bfloat16').reshape(8, 2, 16), 'valid_length': jnp.array([2, 1] * 4)}),
    ],
)
def test_devices_are_given_parts_that_fit_together(monkeypatch, kv_heads, keys, named):
    """JAX's own partitioning for cuDNN, which refuses some ways to cut arrays, and cuts others wrongly."""
    from jax._src.cudnn import fused_attention_stablehlo as cudnn

    lowering = mlir.lower_fun(kernel_on_cpu, multiple_results=True)
    mlir.register_lowering(cudnn._dot_product_attention_fwd_p, lowering, platform='cpu')
    monkeypatch.setattr(internal_mlir, 'make_ir_context', MAKE_CONTEXT)  # XLA lowers the parts while it compiles
    monkeypatch.setattr(jax.lax, 'platform_dependent', lambda *arrays, cuda, default: cuda(*arrays))
    mesh = sharding.auto_mesh(jax.make_mesh((4, 2), ('data', 'model')))
    layer = attention(num_kv_heads=kv_heads)
    params = jax.tree.map(lambda v: 10 * v, layer.init(0, jnp.ones((8, 2, 16), 'bfloat16')))
    x = jax.random.normal(jax.random.key(1), (8, 2, 16), 'bfloat16')
    expected = attention(num_kv_heads=kv_heads, implementation='xla').apply(params, x, **named)
    where = sharding.param_shardings(params, {'query.weight': P('model', 'data'), '(key|value).weight': keys}, mesh)
    everywhere = jax.device_put(named, jax.sharding.NamedSharding(mesh, P()))
    y = jax.jit(layer.apply)(jax.device_put(params, where), sharding.shard_batch(x, mesh), **everywhere)
    np.testing.assert_allclose(y.astype('float32'), expected.astype('float32'), rtol=0.02, atol=0.02)


@pytest.mark.accelerator
def test_the_kernel_gives_the_numbers_of_xla():
    if jax.default_backend() != 'gpu':
        pytest.skip('needs a GPU')
    for options, named, _, _ in FUSED.values():
        layer, plain = attention(**options), attention(**{**options, 'implementation': 'xla'})
        x = jax.random.normal(jax.random.key(1), X.shape, options.get('dtype', 'bfloat16'))
        params = layer.init(jax.random.key(0), x)
        ours, theirs = (jax.jit(one.apply)(params, x, **named) for one in (layer, plain))
        np.testing.assert_allclose(np.asarray(ours, 'float32'), np.asarray(theirs, 'float32'), atol=0.03)
