"""What golden files cannot say of operators: those of GPUs and random ones, errors, and shapes of inputs."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gluonjax.errors import ArgumentError
from gluonjax.mx import sym
from gluonjax.mx.gluon.symbol_block import SymbolBlock
from gluonjax.mx.op import OPERATORS, Pass, find
from gluonjax.mx.op.boxes import kept

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((2, 4)).astype('float32')


def near(found, expected):
    np.testing.assert_allclose(found, expected, 1e-5, 1e-5)


def test_boolean_mask_picks_slices_and_is_refused_in_a_program():
    mask = OPERATORS['_contrib_boolean_mask']
    near(mask(X, jnp.array([0, 1])), X[1:])
    near(mask(X, jnp.array([1, 0, 0, 2]), axis=1), X[:, [0, 3]])
    near(jax.grad(lambda x: (mask(x, jnp.array([0, 1])) * 2).sum())(X), [[0] * 4, [2] * 4])
    with pytest.raises(ArgumentError, match='_contrib_boolean_mask has a shape that depends on numbers'):
        jax.jit(mask)(X, jnp.array([0, 1]))


def test_fourier_transforms_as_on_mxnets_gpus():
    y = np.fft.fft(X)
    transformed = OPERATORS['_contrib_fft'](X)
    near(transformed, np.stack([y.real, y.imag], -1).reshape(2, 8))
    near(OPERATORS['_contrib_ifft'](transformed), X * 4)


def test_count_sketch_is_that_of_its_documentation():
    data, h, s = jnp.array([[1.2, 2.5, 3.4], [3.2, 5.7, 6.6]]), jnp.array([[0, 3, 4]]), jnp.array([[1, -1, 1]])
    found = OPERATORS['_contrib_count_sketch'](data, h, s, out_dim=5)
    near(found, [[1.2, 0, 0, -2.5, 3.4], [3.2, 0, 0, -5.7, 6.6]])


def test_matrices_of_edges():
    edges = jnp.array([[1.0, 0, 0], [0, 2, 0], [0, 0, 3]])
    near(
        OPERATORS['_contrib_edge_id'](edges, jnp.array([0, 0, 1, 1, 2, 2]), jnp.array([0, 1, 1, 2, 0, 2])),
        [1, -1, 2, -1, -1, 3],
    )
    assert OPERATORS['_contrib_getnnz'](edges) == 3
    near(OPERATORS['_contrib_getnnz'](edges, axis=1), [1, 1, 1])


def test_old_functions_of_rows():
    near(OPERATORS['_onehot_encode'](jnp.array([1.0, 0.0]), jnp.zeros((2, 3))), [[0, 1, 0], [1, 0, 0]])
    near(
        OPERATORS['fill_element_0index'](X, jnp.array([5.0, 6.0]), jnp.array([3, 0])), [[*X[0, :3], 5], [6, *X[1, 1:]]]
    )
    with pytest.raises(ArgumentError, match='_histogram needs bins'):
        OPERATORS['_histogram'](X, bin_cnt=3)


def test_group_adagrad_has_a_history_for_each_row():
    update = OPERATORS['_contrib_group_adagrad_update']
    gradient, history = X[::-1] * 2, np.array([[1.0], [0.5]], 'float32')
    attributes = update.parse({'lr': 0.1, 'rescale_grad': 0.5, 'clip_gradient': 1.0})
    (weight,), (after,) = update.run([X, gradient, history], attributes)
    step = np.clip(X[::-1], -1, 1)
    near(after, history + (step**2).mean(1, keepdims=True))
    near(weight, X - 0.1 * step / np.sqrt(np.asarray(after) + 1e-5))


def test_sparseness_pulls_the_moving_mean_to_its_target():
    regularized = OPERATORS['IdentityAttachKLSparseReg']
    x, mean = jnp.full((2, 3), 0.6), jnp.full(3, 0.5)
    attributes = regularized.parse({'penalty': 0.1, 'sparseness_target': 0.2})

    def run(x):
        (y,), (moved,) = regularized.run([x, mean], attributes, Pass(training=True))
        return y, moved

    y, pull, moved = jax.vjp(run, x, has_aux=True)
    near(y, x)
    near(moved, [0.51] * 3)
    near(pull(jnp.ones((2, 3)))[0], np.full((2, 3), 1 + 0.1 * (0.8 / 0.49 - 0.2 / 0.51)))
    near(regularized.run([x, mean], attributes)[1][0], mean)


def picture():
    return jnp.asarray(RANDOM.integers(0, 256, (3, 4, 3)), 'uint8')


def test_random_flips_flip_half_of_the_time():
    for name, axis in (('_image_random_flip_left_right', 1), ('_image_random_flip_top_bottom', 0)):
        x = picture()
        found = jax.vmap(lambda key, name=name, x=x: OPERATORS[name](x, pass_=Pass(next_key=lambda: key)))(
            jax.random.split(jax.random.key(0), 64)
        )
        flipped = (found == jnp.flip(x, axis)[None]).all((1, 2, 3))
        assert (flipped | (found == x[None]).all((1, 2, 3))).all()
        assert 16 < flipped.sum() < 48


def test_colors_jitter_within_bounds_and_need_a_key():
    jitter, x = OPERATORS['_image_random_color_jitter'], jnp.full((2, 2, 3), 100.0)
    amounts = {'brightness': 0.2, 'contrast': 0.3, 'saturation': 0, 'hue': 0.1}
    run = jax.jit(jax.vmap(lambda key: jitter(x, pass_=Pass(next_key=lambda: key), **amounts)))
    found = run(jax.random.split(jax.random.key(0), 32))
    assert found.std((1, 2, 3)).max() < 1e-3  # of one gray: neither contrast nor hue changes it
    assert 80 <= found.min() < 85
    assert 115 < found.max() <= 120.001
    with pytest.raises(ArgumentError, match='_image_random_color_jitter is random'):
        jitter(x, **amounts)


def test_regions_without_an_image_are_zeros_and_crops_stay_inside():
    rois = jnp.array([[-1.0, 0, 0, 2, 2], [0, 0, 0, 2, 2]])
    found = OPERATORS['_contrib_ROIAlign'](jnp.ones((1, 2, 4, 4)), rois, pooled_size=(2, 2), spatial_scale=1)
    near(found, np.stack([np.zeros((2, 2, 2)), np.ones((2, 2, 2))]))
    with pytest.raises(ArgumentError, match='beyond 4 x 3 pixels'):
        OPERATORS['_image_crop'](picture(), x=2, y=0, width=3, height=1)
    with pytest.raises(ArgumentError, match='interp of _image_resize must be 0'):
        OPERATORS['_image_resize'](picture(), size=4, interp=3)


@pytest.mark.parametrize(
    ('name', 'attributes', 'known', 'inferred'),
    [
        (
            '_contrib_ModulatedDeformableConvolution',
            {
                'kernel': (3, 2),
                'stride': (2, 1),
                'pad': (1, 0),
                'num_filter': 6,
                'num_group': 2,
                'num_deformable_group': 2,
            },
            {'data': (2, 4, 7, 6)},
            {'offset': (2, 24, 4, 5), 'mask': (2, 12, 4, 5), 'weight': (6, 2, 3, 2), 'bias': (6,)},
        ),
        ('_contrib_Proposal', {}, {'cls_prob': (1, 24, 5, 6)}, {'bbox_pred': (1, 48, 5, 6), 'im_info': (1, 3)}),
    ],
)
def test_shapes_of_inputs_are_inferred(name, attributes, known, inferred):
    operator = OPERATORS[name]
    assert operator.infer is not None
    assert operator.infer(operator.parse(attributes), known) == inferred


def test_operators_that_cannot_be_say_why():
    with pytest.raises(ArgumentError, match='runs Python code'):
        find('_NDArray')
    graph = {
        'nodes': [
            {'op': 'null', 'name': 'x', 'inputs': []},
            {'op': '_sg_mkldnn_conv', 'name': 'c', 'inputs': [[0, 0, 0]]},
        ]
    }
    graph |= {'arg_nodes': [0], 'heads': [[1, 0, 0]]}
    with pytest.raises(ArgumentError, match=r'_sg_mkldnn_conv.* one kind of processor'):
        SymbolBlock(sym.load_json(json.dumps(graph)), sym.var('x'))


def greedily(boxes, valid, kinds, threshold):
    """The boxes that are kept, one after the other."""
    size = boxes[:, 2:] - boxes[:, :2]
    found = []
    for i in range(len(boxes)):
        low = np.maximum(boxes[found, :2], boxes[i, :2])
        shared = np.maximum(np.minimum(boxes[found, 2:], boxes[i, 2:]) - low, 0).prod(1)
        ratio = shared / (size[found].prod(1) + size[i].prod() - shared)
        if valid[i] and not ((ratio > threshold) & (kinds[found] == kinds[i])).any():
            found.append(i)
    return found


def test_suppression_in_blocks_is_what_it_is_box_by_box():
    corner = RANDOM.uniform(0, 1, (200, 2))
    boxes = np.concatenate([corner, corner + RANDOM.uniform(0.2, 0.6, (200, 2))], 1).astype('float32')
    valid, kinds = RANDOM.uniform(size=200) < 0.8, RANDOM.integers(0, 3, 200)
    alive = jax.jit(lambda *given: kept(*given, 0.3))(boxes, valid, kinds)
    expected = greedily(boxes, valid, kinds, 0.3)
    assert len(expected) > 20
    assert np.flatnonzero(alive).tolist() == expected
    some = kept(boxes[:150], valid[:150], None, 0.3, most=3)
    assert np.flatnonzero(some)[:3].tolist() == greedily(boxes[:150], valid[:150], kinds[:150] * 0, 0.3)[:3]
    assert kept(boxes[:0], valid[:0], None, 0.3).shape == (0,)
