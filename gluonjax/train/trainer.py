"""Trainer: trains a network step by step, or in epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gluonjax.lazy import LazyMethod, entry_points
from gluonjax.train.base import BaseTrainer, refuse_inside_transformation
from gluonjax.train.history import History
from gluonjax.train.samples import training_and_validation

if TYPE_CHECKING:
    from gluonjax.train.fit import Callbacks


@entry_points
class Trainer(BaseTrainer):
    """Trains a network: `trainer.step(x, y)` is forward, loss, backward, update, statistics and metrics in one program.

    Args:
        net: a network. Its shapes may be unknown yet; the first batch decides them.
        loss: one number for each sample: one of `gluonjax.loss`, a function `loss(outputs, labels)`, or a dict of them
            by the names of outputs. See `make_step`, also for several labels and for weights of samples.
        optimizer: a name of MXNet's, one of `gluonjax.optimizer`, or any `optax.GradientTransformation`. Those of
            gluonjax count the updates of each parameter, which wait while it is frozen (`grad_req='null'`); one of
            optax counts its own updates, so that its correction for the first few is that of all parameters.
        optimizer_params: arguments of an optimizer given by name.
        key: a JAX key or an int for dropout and the like; by default the next of the library's stream.
        last_batch: what becomes of a batch smaller than the one before. 'keep' compiles for its size, once. 'discard'
            makes `fit` drop it. 'pad' fills it up with copies of a sample, which are masked out of the loss, the
            gradients and the metrics, so that nothing is compiled again. It requires that no layer or loss of your own
            mixes the samples of a batch (by a mean or a softmax over them); those of the library that take
            `batch_mask`, such as BatchNorm, may.
        mesh: a `jax.sharding.Mesh` (`jax.make_mesh`) of several devices to train on. Loss, gradients, BatchNorm's
            statistics and metrics are those of the whole batch: what one device computes, to rounding.
        data_axis: the axis of the mesh over which batches are cut, or a tuple of axes.
        sharding: rules for parameters, from patterns to `PartitionSpec`; see `gluonjax.sharding`. What no rule matches
            is on every device. What is not drawn yet (its shape waits for the first batch) is drawn in its parts, and
            no device ever holds the whole; what is drawn already is moved there in the first step.
        optimizer_sharding: other rules, for what the optimizer keeps of parameters and for the moving average:
            `gluonjax.sharding.zero(net, x, mesh=mesh)` cuts it over the data axis (ZeRO).
        sequence_axis: an axis of the mesh over which what `Residual` returns is cut by tokens (sequence parallelism);
            see `gluonjax.sharding.with_cut_activations`.
        metrics: like the arguments that follow, one of `make_step`.
        clip_global_norm: gradients whose global norm is larger than this are scaled down to it.
        accumulate: the optimizer updates the parameters once every `accumulate` steps, by their mean gradient.
        micro_batches: each step splits its batch into this many parts, computed one after the other, so that only the
            activations of one are in memory.
        precision: 'bfloat16' or 'float16' computes the forward and backward pass in it.
        average: the decay of a moving average of the parameters; None for none.
        remat: whether the backward pass computes the forward pass again; or the policy of what is kept, such as 'dots'.
        skip_nonfinite: a step whose loss or gradient is not finite changes nothing.
        train: a pattern (`re.match` on names) for the parameters that this Trainer trains: a new head, or a generator
            through a discriminator that is not changed. None trains all. See `make_step` for what becomes of others and
            of running statistics.
        carry: what the network carries from a batch to the next, before the first one, such as
            `net.lstm.begin_state(batch_size=32)`: `forward(x, carry)` returns `(output, next carry)`. No gradient flows
            into the batch before (truncated backpropagation through time). `fit`, `evaluate` and `predict` begin again
            with each epoch, `reset_carry()` does at any time, and checkpoints have it. The rows of a batch are to go on
            where those of the one before ended: `fit(batches)`, or `fit(x, y, shuffle=False)`. See `make_step`.
        lr_mult: dict from patterns for parameters, by any name of a tied one, to factors on the learning rate. The
            first that matches counts, and `parameter.lr_mult`, if it is set, before all.
        wd_mult: the same for weight decay.

    Raises:
        ArgumentError: if an argument has a value that is not allowed.
        PatternError: for a rule, `train`, or a pattern of `lr_mult` or `wd_mult`, that matches no parameter.
        ShapeError: for a rule that does not fit a shape; where that is unknown yet, the first step says so.

    >>> import jax.numpy as jnp
    >>> from gluonjax import loss, nn
    >>> net = nn.Sequential(nn.Dense(8, activation='relu'), nn.Dense(3))
    >>> net.initialize(key=0)
    >>> trainer = Trainer(net, loss.SoftmaxCrossEntropyLoss(), 'sgd', {'learning_rate': 0.5}, key=0)
    >>> x, y = jnp.eye(3), jnp.arange(3)
    >>> losses = [trainer.step(x, y) for _ in range(100)]
    >>> bool(losses[-1] < 0.1 * losses[0])
    True
    """

    _fit: LazyMethod = LazyMethod('gluonjax.train.fit', 'fit')

    def fit(
        self,
        x: Any,
        y: Any = None,
        epochs: int = 1,
        *,
        batch_size: int | None = None,
        validation: Any = None,
        shuffle: bool | None = None,
        metrics: Any = None,
        callbacks: Callbacks = (),
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        progress: bool = True,
        prefetch: int = 2,
        resume: bool = False,
    ) -> History:
        """Trains on arrays, `fit(x, y, batch_size=32, epochs=10, validation=0.1)`, or on batches, `fit(batches)`.

        A batch is `(*inputs, label)` or a dict of inputs by name with 'label' among them, in arrays of NumPy, JAX or
        PyTorch. Nothing waits for the device between two steps.

        Args:
            x: inputs: arrays of NumPy, JAX or PyTorch, or data frames, a sample in each row; a tuple of them where
                `forward` takes several inputs, or a dict by the names of its arguments. Or batches: an iterable of
                them, such as a list or a loader; a sequence with `__len__` and `__getitem__`, whose `on_epoch_end` is
                called; or a function of the epoch's number (from 0) that returns an iterable, so that an order can be
                repeated. `gluonjax.data.batches(x, y, batch_size=32)` is one.
            y: labels, or a dict or tuple of them, with as many rows. Where `x` is batches: those of the validation.
            epochs: how many epochs more.
            batch_size: the number of rows of a batch that arrays are cut into; 32 by default.
            validation: what to evaluate after each epoch: `(x, y)`; batches, as for `x`; or a fraction of the arrays,
                such as 0.1, that is not trained on. These samples are drawn from the Trainer's key, the same in every
                fit; with `shuffle=False` they are the last.
            shuffle: whether the rows of arrays are trained on in a new order in each epoch, as by default. It depends
                on the key that the Trainer was made with and the number of the epoch, also after `restore`.
            metrics: those of `gluonjax.metric`, from now on; None leaves those that the Trainer has.
            callbacks: those of `gluonjax.callback`, in a list; or one.
            steps_per_epoch: how many steps an epoch has. One iterator then goes on over the epochs; arrays and a
                function of the epoch begin again in each.
            validation_steps: how many batches of the validation are evaluated at most; None for all. An iterator goes
                on in the next epoch.
            progress: whether to show a bar (with rich, in a terminal) or a line for each epoch.
            prefetch: how many batches are put on the device before their turn; on CPU there is no need.
            resume: goes on after an interruption, or with what `restore` brought, and ends where that call of `fit`,
                with as many epochs, would have ended. Batches that were trained on in the epoch are drawn and left out,
                so the data begins again. If nothing was interrupted, it is a first call.

        Returns:
            The history of all epochs of this Trainer: `history['loss']` is the mean over the samples of each epoch, and
            `history['learning_rate']` is `trainer.learning_rate` at its end, which says whose step's it is.

        Raises:
            DataError: for arrays with unequal numbers of rows, batches that cannot be trained on or end too early, or
                labels that the loss does not take.
            NonFiniteError: after an epoch whose mean loss is not finite; not with skip_nonfinite, where the mean is
                that of the finite ones.
            ArgumentError: if these are neither inputs and labels nor batches, or an argument has no such value.
            TransformationError: inside `jit`, `grad` and the like.

        The network has the values after the last completed step, also if an exception or Ctrl-C is the end.

        >>> import jax.numpy as jnp
        >>> from gluonjax import data, loss, metric, nn
        >>> net = nn.Sequential(nn.Dense(3))
        >>> net.initialize(key=0)
        >>> trainer = Trainer(net, loss.SoftmaxCrossEntropyLoss(), 'sgd', {'learning_rate': 1.0}, key=0)
        >>> x, y = jnp.eye(3), jnp.arange(3)
        >>> history = trainer.fit(x, y, batch_size=2, epochs=20, metrics=[metric.Accuracy()], progress=False)
        >>> history['accuracy'][-1]
        1.0
        >>> batches = data.batches(x, y, batch_size=2, shuffle=0)
        >>> trainer.fit(batches, progress=False)['accuracy'][-1]
        1.0
        """
        refuse_inside_transformation('fit', (x, y, validation))
        train, validation = training_and_validation(
            self.taken, x, y, validation, batch_size, shuffle, self.shuffle_seed
        )
        if metrics is not None:
            self.change_options(metrics=metrics)
        return self._fit(
            train,
            validation,
            epochs,
            callbacks=callbacks,
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
            progress=progress,
            prefetch=prefetch,
            resume=resume,
        )
