"""Regions of interest: what a detector proposes, and what it pools from an image there."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gluonjax.mx.op.attributes import Floats, Shape
from gluonjax.mx.op.boxes import kept
from gluonjax.mx.op.elementwise import half_away_from_zero
from gluonjax.mx.op.spatial import neighbours
from gluonjax.mx.op.table import Attributes, Shapes, operator


def _bins(start: jax.Array, end: jax.Array, count: int, size: int) -> tuple[jax.Array, jax.Array]:
    """Where `count` windows of regions, (n,), begin and end, (n, count); between 0 and size."""
    extent = jnp.maximum(end - start + 1, 1)
    width = extent / lax.optimization_barrier(jnp.array(count, extent.dtype))  # a division as MXNet's, to the last bit
    places = jnp.arange(count, dtype=extent.dtype)[None]
    first = jnp.floor(places * width[:, None]) + start[:, None]
    last = jnp.ceil((places + 1) * width[:, None]) + start[:, None]
    return jnp.clip(first, 0, size), jnp.clip(last, 0, size)


def _inside(bounds: tuple[jax.Array, jax.Array], size: int) -> jax.Array:
    """Which of `size` pixels lie in windows: (..., size)."""
    pixels = jnp.arange(size).reshape((1,) * bounds[0].ndim + (size,))
    return (pixels >= bounds[0][..., None]) & (pixels < bounds[1][..., None])


def _largest(values: jax.Array, first: jax.Array, last: jax.Array, axis: int) -> tuple[jax.Array, jax.Array]:
    """The largest numbers in windows along an axis, and the first places where they are."""
    first, last = first.astype('int32'), last.astype('int32')
    shape = [len(first) if i == axis else size for i, size in enumerate(values.shape)]
    along = [-1 if i == axis else 1 for i in range(values.ndim)]

    def step(state: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        i, best, place = state
        here = first + i
        x = jnp.take(values, here, axis, mode='clip')
        better = (x > best) & (here < last).reshape(along)
        return i + 1, jnp.where(better, x, best), jnp.where(better, here.reshape(along), place)

    start = jnp.array(0), jnp.full(shape, -jnp.inf, values.dtype), jnp.zeros(shape, 'int32')
    return lax.while_loop(lambda state: state[0] < (last - first).max(), step, start)[1:]


@operator('ROIPooling', '_npx_roi_pooling', outputs=('output', 'maxidx'), visible=lambda a: 1)
def roi_pooling(
    data: jax.Array, rois: jax.Array, *, pooled_size: Shape, spatial_scale: float
) -> tuple[jax.Array, jax.Array]:
    """The largest number in each of the windows that regions, rows of image and corners, are divided into."""
    height, width = data.shape[2:]
    rois = lax.stop_gradient(rois)
    left, top, right, bottom = half_away_from_zero(rois[:, 1:] * spatial_scale).T
    rows = _bins(top, bottom, pooled_size[0], height)
    columns = _bins(left, right, pooled_size[1], width)
    image = rois[:, 0].astype('int32')
    values = jnp.moveaxis(lax.stop_gradient(data), 1, -1)

    def largest(region: tuple[jax.Array, ...]) -> jax.Array:
        """The place of the first largest pixel, (channels, *pooled_size), or -1: first along rows, then down."""
        number, top, bottom, left, right = region
        best, place = _largest(values[number], left, right, 1)  # (height, columns, channels)
        _, line = _largest(best, top, bottom, 0)  # (rows, columns, channels)
        there = jnp.take_along_axis(place, line, 0)
        empty = (bottom <= top)[:, None] | (right <= left)[None]
        return jnp.moveaxis(jnp.where(empty[..., None], -1, line * width + there), -1, 0)

    index = lax.map(largest, (image, *rows, *columns))
    flat = data.reshape(*data.shape[:2], height * width)
    picked = flat[image[:, None, None, None], jnp.arange(data.shape[1])[None, :, None, None], jnp.maximum(index, 0)]
    return jnp.where(index >= 0, picked, 0), index.astype(data.dtype)


def _means(start: jax.Array, width: jax.Array, count: int, ratio: int, size: int) -> jax.Array:
    """How much each of `size` pixels weighs in the windows of a region, (count, size).

    A window is the mean of points between pixels: `ratio` of them, or as many as it is wide.
    """
    points = jnp.array(ratio) if ratio > 0 else jnp.ceil(width / count).astype('int32')
    pixels, windows = jnp.arange(size)[None], jnp.arange(count, dtype=start.dtype)

    def add(state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        i, total = state
        place = start + width / count * (windows + (i + 0.5) / points)
        outside = (place < -1) | (place > size)
        place = jnp.clip(place, 0, size - 1)[:, None]
        weight = jnp.maximum(1 - jnp.abs(place - pixels), 0)
        return i + 1, total + jnp.where(outside[:, None], 0, weight)

    state = jnp.array(0, points.dtype), jnp.zeros((count, size), start.dtype)
    return lax.while_loop(lambda state: state[0] < points, add, state)[1] / points


def _weighted(data: jax.Array, image: jax.Array, rows: jax.Array, columns: jax.Array, sensitive: bool) -> jax.Array:
    """Weighted sums of images, (regions, channels, *pooled): of rows, (regions, pooled, height), and columns."""
    height, width = data.shape[2:]
    pooled = rows.shape[1], columns.shape[1]
    if sensitive:
        parts, formula = data.reshape(len(data), -1, *pooled, height, width), 'ph,cpqhw,qw->cpq'
    else:
        parts, formula = data, 'ph,chw,qw->cpq'
    if len(data) == 1:
        return jax.vmap(lambda row, column: jnp.einsum(formula, row, parts[0], column))(rows, columns)
    return lax.map(lambda region: jnp.einsum(formula, region[1], parts[region[0]], region[2]), (image, rows, columns))


@operator('_contrib_ROIAlign')
def roi_align(
    data: jax.Array,
    rois: jax.Array,
    *,
    pooled_size: Shape,
    spatial_scale: float,
    sample_ratio: int = -1,
    position_sensitive: bool = False,
    aligned: bool = False,
) -> jax.Array:
    """Means of the windows that regions, rows of image and corners, are divided into; zeros for image -1."""
    rois = lax.stop_gradient(rois)
    corners = rois[:, -4:] * spatial_scale - (0.5 if aligned else 0)
    start, size = corners[:, :2], corners[:, 2:] - corners[:, :2]
    size = size if aligned else jnp.maximum(size, 1)

    def means(axis: int) -> jax.Array:
        count, pixels = pooled_size[1 - axis], data.shape[3 - axis]
        weigh = lambda begin, width: _means(begin, width, count, sample_ratio, pixels)  # noqa: E731
        return lax.stop_gradient(jax.vmap(weigh)(start[:, axis], size[:, axis])).astype(data.dtype)

    image = rois[:, 0].astype('int32') if rois.shape[1] == 5 else jnp.zeros(len(rois), 'int32')
    result = _weighted(data, jnp.maximum(image, 0), means(1), means(0), position_sensitive)
    return jnp.where((image >= 0)[:, None, None, None], result, 0)


@operator('_contrib_RROIAlign')
def rotated_roi_align(
    data: jax.Array, rois: jax.Array, *, pooled_size: Shape, spatial_scale: float, sampling_ratio: int = -1
) -> jax.Array:
    """As `ROIAlign` for regions of image, middle, width, height and angle in degrees."""
    windows, pixels = jnp.array(pooled_size), data.shape[2:]
    rois = lax.stop_gradient(rois)

    def align(region: jax.Array) -> jax.Array:
        image = lax.dynamic_index_in_dim(data, region[0].astype('int32'), keepdims=False)
        size = jnp.maximum(region[3:5] * spatial_scale, 1)[::-1]  # height and width
        points = jnp.full(2, sampling_ratio) if sampling_ratio > 0 else jnp.ceil(size / windows).astype('int32')

        def add(state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            i, total = state
            inside = (jnp.stack([i // points[1], i % points[1]]) + 0.5) / points
            down, right = (
                (jnp.arange(n) + inside[axis]) * (size[axis] / n) - size[axis] / 2 for axis, n in enumerate(pooled_size)
            )
            y, x = _rotated(down[:, None], right[None], region[5] * (math.pi / 180))
            return i + 1, total + _weights(y + region[2] * spatial_scale, x + region[1] * spatial_scale, pixels)

        state = jnp.array(0, points.dtype), jnp.zeros((*pooled_size, *pixels), data.dtype)
        weights = lax.while_loop(lambda state: state[0] < points.prod(), add, state)[1] / points.prod()
        return jnp.einsum('pqhw,chw->cpq', weights, image)

    return lax.map(align, rois)


def _rotated(y: jax.Array, x: jax.Array, angle: jax.Array) -> tuple[jax.Array, jax.Array]:
    return y * jnp.cos(angle) - x * jnp.sin(angle), x * jnp.cos(angle) + y * jnp.sin(angle)


def _weights(y: jax.Array, x: jax.Array, size: Shape) -> jax.Array:
    """How much each pixel weighs in points between them, (*y.shape, *size); the border goes on for one pixel."""
    inside = (y >= -1) & (y <= size[0]) & (x >= -1) & (x <= size[1])
    y, x = jnp.clip(y, 0, size[0] - 1)[..., None], jnp.clip(x, 0, size[1] - 1)[..., None]
    rows = jnp.maximum(1 - jnp.abs(y - jnp.arange(size[0]).reshape(1, 1, -1)), 0)
    columns = jnp.maximum(1 - jnp.abs(x - jnp.arange(size[1]).reshape(1, 1, -1)), 0)
    return jnp.where(inside[..., None, None], rows[..., None] * columns[..., None, :], 0)


@operator('_contrib_PSROIPooling', outputs=('output', 'maxidx'), visible=lambda a: 1)
def position_sensitive_roi_pooling(
    data: jax.Array, rois: jax.Array, *, spatial_scale: float, output_dim: int, pooled_size: int, group_size: int = 0
) -> tuple[jax.Array, jax.Array]:
    """Means of the windows that regions are divided into, each of its own channels."""
    corners = _whole_corners(lax.stop_gradient(rois), spatial_scale)

    def means(axis: int) -> jax.Array:
        start, size, places = corners[:, axis], data.shape[3 - axis], jnp.arange(pooled_size)[None]
        width = jnp.maximum(corners[:, axis + 2] - start, 0.1) / pooled_size
        first = jnp.floor(places * width[:, None] + start[:, None])
        last = jnp.ceil((places + 1) * width[:, None] + start[:, None])
        inside = _inside((jnp.clip(first, 0, size), jnp.clip(last, 0, size)), size).astype(data.dtype)
        return inside / jnp.maximum(inside.sum(-1, keepdims=True), 1)

    channels = _channels(output_dim, group_size or pooled_size, pooled_size).reshape(-1)
    result = _weighted(data[:, channels], rois[:, 0].astype('int32'), means(1), means(0), True)
    return result, jnp.zeros_like(result)


def _whole_corners(rois: jax.Array, scale: float) -> jax.Array:
    """The corners of regions, whole pixels of the image that belong to them, (n, 4), in pixels of its features."""
    return (half_away_from_zero(rois[:, 1:5]) + jnp.array([[0, 0, 1, 1]])) * scale


def _channels(channels: int, groups: int, pooled: int) -> np.ndarray:
    """The channel that each window looks at, (channels, pooled, pooled)."""
    index = np.arange(pooled) * groups // pooled
    return (np.arange(channels)[:, None, None] * groups + index[:, None]) * groups + index


@operator(
    '_contrib_DeformablePSROIPooling',
    outputs=('output', 'top_count'),
    visible=lambda a: 1,
    only_if={'trans': lambda a: not a['no_trans']},
)
def deformable_position_sensitive_roi_pooling(
    data: jax.Array,
    rois: jax.Array,
    trans: jax.Array | None = None,
    *,
    spatial_scale: float,
    output_dim: int,
    group_size: int,
    pooled_size: int,
    part_size: int = 0,
    sample_per_part: int = 1,
    trans_std: float = 0.0,
    no_trans: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """As `PSROIPooling`, with every window moved by `trans` times the size of its region."""
    height, width = data.shape[2:]
    corners = _whole_corners(lax.stop_gradient(rois), spatial_scale) - 0.5
    size = jnp.maximum(corners[:, 2:] - corners[:, :2], 0.1)
    moves = _moves(trans, len(rois), output_dim, pooled_size, part_size or pooled_size, trans_std)
    channels = _channels(output_dim, group_size, pooled_size).reshape(-1, 1)
    flat = data.reshape(-1, height * width)
    windows = (jnp.arange(pooled_size)[:, None] + jnp.arange(sample_per_part)[None] / sample_per_part) / pooled_size

    def pool(region: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
        image, corner, extent, move = region  # of the move (2, channels, pooled, pooled)
        x, y = (windows * extent[axis] + corner[axis] for axis in (0, 1))
        x = x[None, None, :, None, :] + (move[0] * extent[0])[..., None, None]
        y = y[None, :, None, :, None] + (move[1] * extent[1])[..., None, None]
        x, y = (place.reshape(-1, sample_per_part**2) for place in jnp.broadcast_arrays(x, y))
        inside = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
        x, y = jnp.clip(x, 0, width - 1), jnp.clip(y, 0, height - 1)
        number = image * data.shape[1] + channels
        values = sum(weight * flat[number, place] for place, weight in neighbours(y, x, (height, width)))
        count = inside.sum(-1)
        means = jnp.where(inside, values, 0).sum(-1) / jnp.maximum(count, 1)
        shape = output_dim, pooled_size, pooled_size
        return means.reshape(shape), count.astype(data.dtype).reshape(shape)

    return lax.map(pool, (rois[:, 0].astype('int32'), corners, size, moves))


def _moves(trans: jax.Array | None, count: int, channels: int, pooled: int, parts: int, std: float) -> jax.Array:
    """How windows move, right and down: (regions, 2, channels, pooled, pooled)."""
    if trans is None:
        return jnp.zeros((count, 2, channels, pooled, pooled))
    index, classes = np.arange(pooled) * parts // pooled, trans.shape[1] // 2
    pairs = trans.reshape(count, classes, 2, *trans.shape[2:])[:, :, :, index][..., index] * std
    return jnp.repeat(jnp.moveaxis(pairs, 2, 1), channels // classes, 2)


def base_anchors(stride: int, scales: Floats, ratios: Floats) -> np.ndarray:
    """The corners of the anchors of the first pixel, (ratios * scales, 4)."""
    middle, anchors = (stride - 1) / 2, []
    for ratio in ratios:
        width = math.floor(math.sqrt(math.floor(stride * stride / ratio)) + 0.5)
        height = math.floor(width * ratio + 0.5)
        for scale in scales:
            x, y = (width * scale - 1) / 2, (height * scale - 1) / 2
            anchors.append((middle - x, middle - y, middle + x, middle + y))
    return np.array(anchors)


def _moved(anchors: jax.Array, deltas: jax.Array) -> jax.Array:
    size = anchors[:, 2:] - anchors[:, :2] + 1
    middle = deltas[:, :2] * size + anchors[:, :2] + (size - 1) / 2
    half = (jnp.exp(deltas[:, 2:]) * size - 1) / 2
    return jnp.concatenate([middle - half, middle + half], 1)


def _proposal_inputs(attributes: Attributes, shapes: Shapes) -> Shapes:
    scores = shapes.get('cls_prob')
    if scores is None:
        return {}
    return {'bbox_pred': (scores[0], 2 * scores[1], *scores[2:]), 'im_info': (scores[0], 3)}


@operator(
    '_contrib_Proposal',
    '_contrib_MultiProposal',
    outputs=('output', 'score'),
    visible=lambda a: 1 + a['output_score'],
    infer=_proposal_inputs,
)
def proposal(
    cls_prob: jax.Array,
    bbox_pred: jax.Array,
    im_info: jax.Array,
    *,
    rpn_pre_nms_top_n: int = 6000,
    rpn_post_nms_top_n: int = 300,
    threshold: float = 0.7,
    rpn_min_size: int = 16,
    scales: Floats = (4.0, 8.0, 16.0, 32.0),
    ratios: Floats = (0.5, 1.0, 2.0),
    feature_stride: int = 16,
    output_score: bool = False,
    iou_loss: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """Regions, rows of image and corners, and their scores: `rpn_post_nms_top_n` for each image.

    Where fewer are left after suppression, they are repeated. `im_info` has the height, width and scale of each image.
    """
    count, height, width = cls_prob.shape[1] // 2, *cls_prob.shape[2:]
    y, x = np.meshgrid(np.arange(height) * feature_stride, np.arange(width) * feature_stride, indexing='ij')
    shifts = np.stack([x, y, x, y], -1)[:, :, None]
    anchors = jnp.asarray((shifts + base_anchors(feature_stride, scales, ratios)).reshape(-1, 4), bbox_pred.dtype)
    pixels = np.repeat(np.stack([y, x], -1).reshape(-1, 2) // feature_stride, count, 0)

    def one(scores: jax.Array, deltas: jax.Array, info: jax.Array) -> tuple[jax.Array, jax.Array]:
        scores = scores[count:].transpose(1, 2, 0).reshape(-1)
        deltas = deltas.reshape(count, 4, height, width).transpose(2, 3, 0, 1).reshape(-1, 4)
        boxes = anchors + deltas if iou_loss else _moved(anchors, deltas)
        boxes = jnp.clip(boxes, 0, jnp.stack([info[1], info[0], info[1], info[0]])[None] - 1)
        beyond = (pixels >= jnp.trunc(info[:2] / feature_stride)[None]).any(1)
        least = rpn_min_size * info[2]
        small = (boxes[:, 2:] - boxes[:, :2] + 1 < least).any(1)
        boxes = jnp.where(small[:, None], boxes + jnp.array([[-0.5, -0.5, 0.5, 0.5]]) * least, boxes)
        scores = jnp.where(small | beyond, -1, scores)
        return _best(boxes, scores, rpn_pre_nms_top_n, rpn_post_nms_top_n, threshold)

    boxes, scores = jax.vmap(one)(cls_prob, bbox_pred, im_info)
    image = jnp.broadcast_to(jnp.arange(len(boxes))[:, None, None], (*boxes.shape[:2], 1)).astype(boxes.dtype)
    rois = jnp.concatenate([image, boxes], -1).reshape(-1, 5)
    return lax.stop_gradient((rois, scores.reshape(-1, 1)))


def _best(boxes: jax.Array, scores: jax.Array, before: int, after: int, threshold: float) -> Any:
    """The best `after` boxes that do not overlap too much, and their scores; repeated where there are fewer."""
    order = jnp.argsort(-scores, stable=True)[: before if before > 0 else None]
    boxes, scores = boxes[order], scores[order]
    alive = kept(boxes, jnp.ones(len(boxes), bool), None, threshold, extra=1.0, most=after)
    front = jnp.argsort(~alive, stable=True)
    chosen = front[jnp.arange(after) % jnp.minimum(alive.sum(), min(after, len(boxes)))]
    return boxes[chosen], scores[chosen]
