"""Optimizers as MXNet 1.9.1 computes them where that is not what they mean, so that programs give its numbers."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from gluonjax import optimizer as native
from gluonjax.optimizer import transforms as tx


class NAG(native.NAG):
    """`gluonjax.optimizer.NAG`, whose momentum is decayed by the weight after the update: MXNet computes in place."""

    def transformation(self) -> Any:
        if not self.momentum:
            return super().transformation()
        return tx.chain(self.clip(), tx.with_state({'trace': jnp.zeros_like}, self._moved))

    def _moved(self, gradient: Any, kept: Any, weight: Any, info: Any) -> Any:
        carried, decayed = self.momentum * kept['trace'], gradient + info.decay * weight
        update = self.momentum * (carried - info.rate * decayed) - info.rate * decayed
        return update, {'trace': carried - info.rate * (gradient + info.decay * (weight + update))}


class Signum(native.Signum):
    """`gluonjax.optimizer.Signum`, whose state has the other sign, as in MXNet's files of states."""

    def transformation(self) -> Any:
        if not self.momentum:
            return super().transformation()
        average = tx.chain(
            self.clip(), tx.add_weight_decay(), tx.with_state({'momentum': jnp.zeros_like}, self._averaged)
        )
        return tx.chain(average, tx.scale_by_sign(), tx.add_decayed_weights(self.wd_lh), tx.scale_by_learning_rate())

    def _averaged(self, gradient: Any, kept: Any, weight: Any, info: Any) -> Any:
        new = self.momentum * kept['momentum'] - (1 - self.momentum) * gradient
        return -new, {'momentum': new}
