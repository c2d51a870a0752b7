"""What an Estimator does with one batch."""

from __future__ import annotations

from typing import Any

from gluonjax.mx import autograd
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.gluon.batches import split_and_load


class BatchProcessor:
    """Computes predictions and losses of a batch, and in training gradients. A subclass may do otherwise."""

    def _get_data_and_label(self, batch: Any, ctx: Any, batch_axis: int = 0) -> tuple[list[Any], list[Any]]:
        data, label = (split_and_load(part, ctx, batch_axis) for part in batch[:2])
        return data, label

    def _run(self, net: Any, loss: Any, parts: tuple[list[Any], list[Any]]) -> tuple[list[Any], list[Any]]:
        predictions = [net(x) for x in parts[0]]
        return predictions, [loss(y, label) for y, label in zip(predictions, parts[1], strict=True)]

    def evaluate_batch(self, estimator: Any, val_batch: Any, batch_axis: int = 0) -> tuple[Any, Any, Any, Any]:
        """Data, labels, predictions and losses, each a list with one for each context."""
        parts = self._get_data_and_label(val_batch, estimator.context, batch_axis)
        return (*parts, *self._run(estimator.val_net, estimator.val_loss, parts))

    def fit_batch(self, estimator: Any, train_batch: Any, batch_axis: int = 0) -> tuple[Any, Any, Any, Any]:
        """As `evaluate_batch`, in training, and computes gradients."""
        parts = self._get_data_and_label(train_batch, estimator.context, batch_axis)
        with autograd.record():
            predictions, losses = self._run(estimator.net, estimator.loss, parts)
        for loss in losses:
            loss.backward()
        return (*parts, predictions, losses)


explain_calls(globals())
