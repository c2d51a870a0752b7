"""Boxes: overlaps, encodings, suppression and matching."""

from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax

from gluonjax.mx.op.gradient import with_slope
from gluonjax.mx.op.table import operator

Format = Literal['corner', 'center']
_BLOCK = 64  # boxes that are looked at together when the worse ones are suppressed


def corners(boxes: jax.Array, form: str) -> jax.Array:
    """Boxes, along the last axis, as left, top, right and bottom."""
    if form == 'corner':
        return boxes
    x, y, width, height = jnp.split(boxes, 4, -1)
    return jnp.concatenate([x - width / 2, y - height / 2, x + width / 2, y + height / 2], -1)


def centers(boxes: jax.Array, form: str) -> jax.Array:
    """Boxes, along the last axis, as the middle, width and height."""
    if form == 'center':
        return boxes
    left, top, right, bottom = jnp.split(boxes, 4, -1)
    return jnp.concatenate([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top], -1)


def overlap(a: jax.Array, b: jax.Array, extra: float = 0.0) -> jax.Array:
    """Intersection over union of corners, (..., 4) with (..., 4); 0 for boxes without an area.

    Args:
        a: boxes.
        b: boxes.
        extra: 1 where corners are pixels that belong to the box.
    """
    size = jnp.maximum(jnp.minimum(a[..., 2:], b[..., 2:]) - jnp.maximum(a[..., :2], b[..., :2]) + extra, 0)
    shared = size[..., 0] * size[..., 1]
    union = _area(a, extra) + _area(b, extra) - shared
    return jnp.where(union > 0, shared / jnp.where(union > 0, union, 1), 0)


def _area(boxes: jax.Array, extra: float) -> jax.Array:
    size = jnp.maximum(boxes[..., 2:] - boxes[..., :2] + extra, 0)
    return size[..., 0] * size[..., 1]


def kept(
    boxes: jax.Array,
    valid: jax.Array,
    kinds: jax.Array | None,
    threshold: float,
    at: bool = False,
    extra: float = 0.0,
    most: int | None = None,
) -> jax.Array:
    """Which of some boxes, best first, are kept: those that no better one of their kind overlaps too much.

    Args:
        boxes: corners, (n, 4).
        valid: which are there at all, (n,).
        kinds: of each, (n,); None if all are of one.
        threshold: of the overlap.
        at: whether an overlap that is equal to the threshold is too much.
        extra: as for `overlap`.
        most: after how many of the kept it may end: all behind them count as suppressed.
    """
    count, size = len(boxes), min(len(boxes), _BLOCK)
    padding = -count % max(size, 1)
    boxes = jnp.pad(lax.stop_gradient(boxes), ((0, padding), (0, 0)))
    kinds = None if kinds is None else jnp.pad(kinds, (0, padding))
    places = jnp.arange(len(boxes))

    def close(start: jax.Array) -> jax.Array:
        """Which boxes those of a block would suppress, (size, n): worse ones of their kind that they overlap."""
        shared = overlap(lax.dynamic_slice_in_dim(boxes, start, size)[:, None], boxes[None], extra)
        found = (shared >= threshold if at else shared > threshold) & (places[None] > start + places[:size, None])
        if kinds is not None:
            found &= lax.dynamic_slice_in_dim(kinds, start, size)[:, None] == kinds[None]
        return found

    def suppress(state: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        start, alive, number = state
        pairs = close(start)
        own = lax.dynamic_slice_in_dim(pairs, start, size, 1)
        better = _survivors(lax.dynamic_slice_in_dim(alive, start, size), own)
        return start + size, alive & ~(pairs & better[:, None]).any(0), number + better.sum()

    def goes_on(state: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        return (state[0] < count) & (state[2] < (count if most is None else most))

    if not count:
        return valid
    # Block by block: what the boxes of one do to one another first, then to all that are worse.
    start = jnp.array(0), jnp.pad(valid, (0, padding)), jnp.array(0)
    end, alive, _ = lax.while_loop(goes_on, suppress, start)
    return (alive & (places < end))[:count]


def _survivors(alive: jax.Array, suppresses: jax.Array) -> jax.Array:
    """Which boxes of a block are left, (size,), if those that are left suppress others, (size, size)."""

    def again(state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        return state[1], alive & ~(suppresses & state[1][:, None]).any(0)

    # Each pass is right for one box more at least, and soon for all.
    first = again((alive, alive))
    return lax.while_loop(lambda state: (state[0] != state[1]).any(), again, first)[1]


@operator('_contrib_box_iou', '_npx_box_iou')
def box_iou(lhs: jax.Array, rhs: jax.Array, *, format: Format = 'corner') -> jax.Array:
    """The overlap of every box of one array with every box of another."""
    a, b = corners(lhs, format), corners(rhs, format)
    pairs = a.reshape(-1, 1, 4), b.reshape(1, -1, 4)
    return overlap(*pairs).reshape(*lhs.shape[:-1], *rhs.shape[:-1])


@operator('_contrib_box_nms', '_contrib_box_non_maximum_suppression', outputs=('output', 'temp'), visible=lambda a: 1)
def box_nms(
    data: jax.Array,
    *,
    overlap_thresh: float = 0.5,
    valid_thresh: float = 0.0,
    topk: int = -1,
    coord_start: int = 2,
    score_index: int = 1,
    id_index: int = -1,
    background_id: int = -1,
    force_suppress: bool = False,
    in_format: Format = 'corner',
    out_format: Format = 'corner',
) -> tuple[jax.Array, jax.Array]:
    """Rows in the order of their scores, without those that a better one overlaps; -1 behind them."""

    def one(rows: jax.Array) -> tuple[jax.Array, jax.Array]:
        count = len(rows)
        scores = rows[:, score_index]
        valid = scores > valid_thresh
        if id_index >= 0 and background_id >= 0:
            valid &= rows[:, id_index] != background_id
        order = jnp.argsort(jnp.where(valid, -scores, jnp.inf), stable=True)
        order = order[: topk if 0 < topk < count else count]
        best, there = rows[order], valid[order]
        boxes = corners(best[:, coord_start : coord_start + 4], in_format)
        kinds = None if force_suppress or id_index < 0 else best[:, id_index]
        alive = kept(boxes, there, kinds, overlap_thresh)
        front = jnp.argsort(~alive, stable=True)  # those that are kept, in their order
        if in_format != out_format:
            best = with_slope(lambda best: _in_format(best, coord_start, in_format, out_format), 1.0, best)
        result = jnp.where(alive[front][:, None], best[front], -1)
        source = jnp.where(alive[front], order[front], -1).astype(rows.dtype)
        rest = count - len(order)
        return (
            jnp.pad(result, ((0, rest), (0, 0)), constant_values=-1),
            jnp.pad(source, (0, rest), constant_values=-1)[:, None],
        )

    flat = data.reshape(-1, *data.shape[-2:])
    result, source = jax.vmap(one)(flat)
    return result.reshape(data.shape), source.reshape(*data.shape[:-1], 1)


def _in_format(rows: jax.Array, start: int, old: str, new: str) -> jax.Array:
    """Rows with boxes from column `start` on, in another format; MXNet's gradient does not know of it."""
    boxes = corners(rows[:, start : start + 4], old)
    return rows.at[:, start : start + 4].set(centers(boxes, 'corner') if new == 'center' else boxes)


@operator('_contrib_box_decode')
def box_decode(
    data: jax.Array,
    anchors: jax.Array,
    *,
    std0: float = 1.0,
    std1: float = 1.0,
    std2: float = 1.0,
    std3: float = 1.0,
    clip: float = -1.0,
    format: Format = 'center',
) -> jax.Array:
    """Corners of the boxes that differ from anchors by these numbers."""
    anchor, scaled = centers(anchors, format), data * jnp.array([std0, std1, std2, std3], data.dtype).reshape(1, 1, 4)
    middle = scaled[..., :2] * anchor[..., 2:] + anchor[..., :2]
    growth = jnp.minimum(scaled[..., 2:], clip) if clip > 0 else scaled[..., 2:]
    half = jnp.exp(growth) * anchor[..., 2:] / 2
    return jnp.concatenate([middle - half, middle + half], -1)


@operator('_contrib_box_encode', outputs=lambda a: 2)
def box_encode(
    samples: jax.Array, matches: jax.Array, anchors: jax.Array, refs: jax.Array, means: jax.Array, stds: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """How the boxes that anchors are matched with differ from them; and a mask of the matched ones."""
    index = matches.astype('int32')
    target = centers(jnp.take_along_axis(refs, index[..., None], 1, mode='clip'), 'corner')
    anchor = centers(anchors, 'corner')
    shift = (target[..., :2] - anchor[..., :2]) / anchor[..., 2:]
    growth = jnp.log(target[..., 2:] / anchor[..., 2:])
    encoded = (jnp.concatenate([shift, growth], -1) - means.reshape(1, 1, 4)) / stds.reshape(1, 1, 4)
    mask = jnp.broadcast_to((samples > 0.5)[..., None], encoded.shape)
    return jnp.where(mask, encoded, 0), mask.astype(encoded.dtype)


@operator('_contrib_bipartite_matching', outputs=lambda a: 2)
def bipartite_matching(
    data: jax.Array, *, is_ascend: bool = False, threshold: float, topk: int = -1
) -> tuple[jax.Array, jax.Array]:
    """Pairs rows with columns, the best first: the column of each row, and the row of each column; -1 for none."""
    rows, columns = data.shape[-2:]
    sign = 1 if is_ascend else -1

    def one(scores: jax.Array) -> tuple[jax.Array, jax.Array]:
        order = jnp.argsort(sign * scores.reshape(-1), stable=True)
        most = topk + 1 if topk > 0 else rows * columns  # MXNet stops one too late

        def step(i: jax.Array, state: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, ...]:
            of_row, of_column, count = state
            row, column = order[i] // columns, order[i] % columns
            score = scores[row, column]
            good = score < threshold if is_ascend else score > threshold
            free = (of_row[row] < 0) & (of_column[column] < 0) & good & (count < most)
            of_row = of_row.at[row].set(jnp.where(free, column.astype(data.dtype), of_row[row]))
            of_column = of_column.at[column].set(jnp.where(free, row.astype(data.dtype), of_column[column]))
            return of_row, of_column, count + free

        nobody = jnp.full(rows, -1, data.dtype), jnp.full(columns, -1, data.dtype), jnp.array(0)
        return lax.fori_loop(0, rows * columns, step, nobody)[:2]

    of_rows, of_columns = jax.vmap(one)(data.reshape(-1, rows, columns))
    return of_rows.reshape(data.shape[:-1]), of_columns.reshape(*data.shape[:-2], columns)
