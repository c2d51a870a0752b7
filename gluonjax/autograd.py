"""What `mxnet.autograd` was for, named for those who look for it: here gradients are values of functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from gluonjax.errors import GluonError


def record(*args: object, **kwargs: object) -> NoReturn:
    """Raises an error that shows how gradients are taken here."""
    raise GluonError(
        'there is no tape to record on',
        remedy='loss, gradients = jax.value_and_grad(lambda params: loss_of(net.apply(params, x)))(net.params)',
    )


def train_mode(*args: object, **kwargs: object) -> NoReturn:
    """Raises an error that shows how training is switched on here."""
    raise GluonError(
        'training is an argument, not a mode',
        remedy='net(x, training=True), or y, params = net.apply_train(params, x, key=key)',
    )


pause: Callable[..., NoReturn] = train_mode
predict_mode: Callable[..., NoReturn] = train_mode
is_training: Callable[..., NoReturn] = train_mode
is_recording: Callable[..., NoReturn] = train_mode
