"""Single-shot detectors: anchors, what they are trained on, and what they find."""

import math

import jax
import jax.numpy as jnp
from jax import lax

from gluonjax.mx.op.attributes import Floats
from gluonjax.mx.op.boxes import centers, kept, overlap
from gluonjax.mx.op.table import operator


@operator('_contrib_MultiBoxPrior', '_npx_multibox_prior')
def multibox_prior(
    data: jax.Array,
    *,
    sizes: Floats = (1.0,),
    ratios: Floats = (1.0,),
    clip: bool = False,
    steps: Floats = (-1.0, -1.0),
    offsets: Floats = (0.5, 0.5),
) -> jax.Array:
    """Anchors at every pixel, (1, n, 4): all sizes with the first ratio, the first size with the other ratios."""
    height, width = data.shape[2:]
    step_y, step_x = (step if step > 0 else 1 / size for step, size in zip(steps, (height, width), strict=True))
    kinds = [(size, ratios[0]) for size in sizes] + [(sizes[0], ratio) for ratio in ratios[1:]]
    half = jnp.array([(s * height / width * math.sqrt(r) / 2, s / math.sqrt(r) / 2) for s, r in kinds])
    y, x = jnp.meshgrid(
        (jnp.arange(height) + offsets[0]) * step_y, (jnp.arange(width) + offsets[1]) * step_x, indexing='ij'
    )
    middle = jnp.stack([x, y], -1)[:, :, None]
    boxes = jnp.concatenate([middle - half[None, None], middle + half[None, None]], -1).reshape(1, -1, 4)
    return (jnp.clip(boxes, 0, 1) if clip else boxes).astype(data.dtype)


def _decoded(anchors: jax.Array, offsets: jax.Array, variances: Floats, clip: bool) -> jax.Array:
    anchor, scaled = centers(anchors, 'corner'), offsets * jnp.array(variances, offsets.dtype).reshape(1, 4)
    middle = scaled[:, :2] * anchor[:, 2:] + anchor[:, :2]
    half = jnp.exp(scaled[:, 2:]) * anchor[:, 2:] / 2
    boxes = jnp.concatenate([middle - half, middle + half], -1)
    return jnp.clip(boxes, 0, 1) if clip else boxes


@operator('_contrib_MultiBoxDetection', '_npx_multibox_detection')
def multibox_detection(
    cls_prob: jax.Array,
    loc_pred: jax.Array,
    anchor: jax.Array,
    *,
    clip: bool = True,
    threshold: float = 0.01,
    background_id: int = 0,
    nms_threshold: float = 0.5,
    force_suppress: bool = False,
    variances: Floats = (0.1, 0.1, 0.2, 0.2),
    nms_topk: int = -1,
) -> jax.Array:
    """What was found, best first: rows of class, score and corners, (batch, anchors, 6); class -1 is nothing."""

    def one(probabilities: jax.Array, offsets: jax.Array) -> jax.Array:
        scores, kinds = probabilities[1:].max(0), probabilities[1:].argmax(0)
        found = (scores >= threshold) & (scores > -1)
        boxes = _decoded(anchor[0], offsets.reshape(-1, 4), variances, clip)
        rows = jnp.concatenate([kinds[:, None].astype(boxes.dtype), scores[:, None], boxes], 1)
        rows = jnp.where(found[:, None], rows, -1)
        in_front = rows[jnp.argsort(~found, stable=True)]
        if not 0 < nms_threshold <= 1:
            return in_front
        count = nms_topk if 0 < nms_topk < len(rows) else len(rows)
        order = jnp.argsort(jnp.where(found, -scores, jnp.inf), stable=True)[:count]
        best = rows[order]
        alive = kept(best[:, 2:], found[order], None if force_suppress else best[:, 0], nms_threshold, at=True)
        best = best.at[:, 0].set(jnp.where(alive, best[:, 0], -1))
        return jnp.concatenate([best, in_front[count:].at[:, 0].set(-1)])

    return jax.vmap(one)(cls_prob, loc_pred)


def _matched(shared: jax.Array, threshold: float) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Of overlaps, (anchors, boxes): which anchors are matched, with which box, and the best overlap of each.

    First each box takes the anchor that overlaps it most; then anchors take boxes that they overlap enough.
    """
    anchors, boxes = shared.shape

    def step(_: jax.Array, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        of_anchor, of_box = state
        free = jnp.where((of_anchor[:, None] < 0) & (of_box[None] < 0), shared, -1)
        best = free.argmax()
        row, column = best // boxes, best % boxes
        good = free[row, column] > 1e-6
        of_anchor = of_anchor.at[row].set(jnp.where(good, column, of_anchor[row]))
        of_box = of_box.at[column].set(jnp.where(good, row, of_box[column]))
        return of_anchor, of_box

    nobody = jnp.full(anchors, -1), jnp.full(boxes, -1)
    taken, _ = lax.fori_loop(0, boxes, step, nobody)
    most, nearest = shared.max(1), shared.argmax(1)
    positive = (taken >= 0) | ((most > threshold) if threshold > 0 else False)
    return positive, jnp.where(taken >= 0, taken, nearest), most


@operator('_contrib_MultiBoxTarget', '_npx_multibox_target', outputs=('loc_target', 'loc_mask', 'cls_target'))
def multibox_target(
    anchor: jax.Array,
    label: jax.Array,
    cls_pred: jax.Array,
    *,
    overlap_threshold: float = 0.5,
    ignore_label: float = -1.0,
    negative_mining_ratio: float = -1.0,
    negative_mining_thresh: float = 0.5,
    minimum_negative_samples: int = 0,
    variances: Floats = (0.1, 0.1, 0.2, 0.2),
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """What anchors should give for labels, rows of class and corners: offsets, their mask, and classes."""
    anchors = anchor.reshape(-1, 4)

    def one(rows: jax.Array, scores: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        real = jnp.cumprod(rows[:, 0] != -1) > 0  # up to the first row without a class
        shared = jnp.where(real[None], overlap(anchors[:, None], rows[None, :, 1:5]), -1)
        positive, match, most = _matched(shared, overlap_threshold)
        if negative_mining_ratio > 0:
            background = jax.nn.softmax(scores, 0)[0]
            candidate = ~positive & (most < negative_mining_thresh)
            wanted = jnp.maximum((positive.sum() * negative_mining_ratio).astype(int), minimum_negative_samples)
            rank = jnp.argsort(jnp.argsort(jnp.where(candidate, background, jnp.inf), stable=True), stable=True)
            negative = candidate & (rank < wanted)
        else:
            negative = ~positive
        classes = jnp.where(positive, rows[match, 0] + 1, jnp.where(negative, 0, ignore_label))
        classes = jnp.where(real.any(), classes, ignore_label)
        target, box = centers(rows[match, 1:5], 'corner'), centers(anchors, 'corner')
        shift = (target[:, :2] - box[:, :2]) / box[:, 2:]
        growth = jnp.log(jnp.maximum(target[:, 2:] / box[:, 2:], 1e-12))
        offsets = jnp.concatenate([shift, growth], 1) / jnp.array(variances, anchors.dtype).reshape(1, 4)
        chosen = jnp.broadcast_to(positive[:, None] & real.any(), offsets.shape)
        return jnp.where(chosen, offsets, 0).reshape(-1), chosen.astype(offsets.dtype).reshape(-1), classes

    targets = jax.vmap(one)(label, cls_pred)
    return jax.tree.map(lambda target: lax.stop_gradient(target.astype(anchor.dtype)), targets)
