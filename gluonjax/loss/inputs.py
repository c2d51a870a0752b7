"""Checks of what losses are called with, and what brings it into shape."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from gluonjax.errors import ShapeError


def like(label: Array, pred: Array, name: str = 'label') -> Array:
    """The label in the shape and the dtype of the prediction."""
    if label.size != pred.size:
        raise ShapeError(
            f'pred and {name} differ in size', expected=f'{name} of shape {pred.shape}, that of pred', got=label.shape
        )
    return label.reshape(pred.shape).astype(pred.dtype)


def broadcast(name: str, weight: Array, loss: Array) -> Array:
    """The weight in the shape and the dtype of what it multiplies."""
    try:
        return jnp.broadcast_to(weight, loss.shape).astype(loss.dtype)
    except ValueError:
        missing = [1] * (loss.ndim - weight.ndim)
        first = missing and weight.shape == loss.shape[: weight.ndim]
        raise ShapeError(
            f'{name} does not broadcast to the losses that it multiplies',
            expected=f'{loss.shape}, or 1 for a size of it',
            got=weight.shape,
            remedy=f'{name}.reshape({(*weight.shape, *missing)}) for one weight per sample' if first else None,
        ) from None


def axis_of(name: str, axis: int, x: Array) -> int:
    """The axis, counted from the first."""
    if not -x.ndim <= axis < x.ndim:
        raise ShapeError(f'{name}={axis} is no axis of the input', got=x.shape)
    return axis % x.ndim


def check_rank(name: str, x: Array, layout: str) -> None:
    """Refuses an input that has not one axis for each letter of the layout."""
    if x.ndim != len(layout):
        raise ShapeError(f'{name} has the wrong number of axes', expected=f'{len(layout)} ({layout})', got=x.shape)


def times(factor: Array, logarithm: Array) -> Array:
    """Their product, where nothing times an infinite logarithm is nothing."""
    return factor * jnp.where((factor == 0) & jnp.isinf(logarithm), 0, logarithm)
