"""The pure training step: `step(state, batch) -> (state, metrics)` on pytrees. The Trainer runs this very function."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from gluonjax import checks
from gluonjax import optimizer as optimizers
from gluonjax.arrays import admit
from gluonjax.block import Block
from gluonjax.casting import in_precision, knowing_statistics
from gluonjax.data.batching import rows_of
from gluonjax.errors import ArgumentError, ShapeError
from gluonjax.keys import as_key
from gluonjax.layer import Layer, declarations_of, leaves_of
from gluonjax.lazy import suggests_keywords
from gluonjax.metric.composite import parts_of
from gluonjax.metric.pure import PureMetric
from gluonjax.nn.repeat import PolicyLike, checkpoint_policy
from gluonjax.optimizer import transforms as tx
from gluonjax.optimizer.base import Optimizer, factors_of
from gluonjax.placement import keeping_places
from gluonjax.run import Run
from gluonjax.train.batch import Batch, checked_carry, most_inputs
from gluonjax.train.losses import LossLike, check_loss, checkable, checks_labels, losses_of
from gluonjax.train.micro_batches import check_micro_batches, in_micro_batches
from gluonjax.train.selection import training_only
from gluonjax.train.state import LossScale, Totals, TrainState
from gluonjax.tree import flatten, nest

Precision = Literal['bfloat16', 'float16']
Remat = bool | PolicyLike  # whether the backward pass computes again what it needs; or what is kept
PRECISIONS: tuple[Precision, ...] = ('bfloat16', 'float16')
_SHAPES = 6  # with more shapes of parameters one program compiles faster than one for each of them


@dataclasses.dataclass(frozen=True, eq=False)
class TrainStep:
    """What `make_step` returns: call it, or jit it, as `step(state, batch, mask=None) -> (state, metrics)`."""

    layer: Layer
    loss: LossLike
    optimizer: Any
    metrics: Mapping[str, PureMetric]
    precision: Precision | None
    average: float | None
    remat: bool | Callable[..., Any]
    guarded: bool
    carry: Any  # before the first batch
    micro_batches: int = 1
    placed: Callable[..., Any] | None = None  # (layer, its output, number of samples) -> the output, where it belongs

    def init(self, key: Any, batch: Any, *, params: Mapping[str, Any] | None = None, init: Any = None) -> TrainState:
        """The first state.

        Args:
            key: a JAX key or an int: parameters are drawn with it, and the keys of the steps are split from it.
            batch: a batch, or the shapes of one (`jax.ShapeDtypeStruct`).
            params: the values to start from; drawn by `layer.init` if None.
            init: the initializer, as for `layer.init`.
        """
        batch = self.batch(batch)
        inputs = batch.with_carry(self.carry).inputs
        values = self.layer.init(key, *inputs, init=init, **batch.named) if params is None else admit(params, 'params')
        trained, _ = self.layer.partition(values)
        return TrainState(
            params=dict(values),
            optimizer=_first_state(self.optimizer, trained),
            key=as_key(key),
            metrics={name: metric.init() for name, metric in self.metrics_for(values, batch, key).items()},
            average=None if self.average is None else jax.tree.map(jnp.copy, trained),
            scale=LossScale.initial() if self.precision == 'float16' else None,
            skipped=jnp.int32(0) if self.guarded else None,
            totals=Totals.zero(),
            carry=jax.tree.map(jnp.copy, self.carry),
        )

    def batch(self, batch: Any) -> Batch:
        """A batch taken apart, as the network and the loss take it."""
        return Batch.of(batch, most_inputs(self.layer, self.carry))

    def __call__(
        self, state: TrainState, batch: Any, mask: jax.Array | None = None
    ) -> tuple[TrainState, dict[str, jax.Array]]:
        """One step: forward, loss, backward, update, running statistics, metrics, the next key.

        Args:
            state: from `init`, or the step before.
            batch: `(*inputs, label)`, where what `forward` does not take by position is labels too: `(x, y1, y2)` is
                `(x, (y1, y2))`. Or a dict of inputs by name with 'label' among them.
            mask: which samples are valid, of bool and shape (batch,); None for all. Padding is left out this way, of
                the mean, of metrics and of BatchNorm's statistics.

        Returns:
            The next state, and 'loss' (the mean over the samples, a float32 scalar) with the metrics' values so far.
            The loss is nan if a sample has a label that the loss does not take; that sample has no gradient.

        Raises:
            ShapeError: if the loss is not one number for each sample.
        """
        return keeping_places(lambda *given: self.with_output(*given)[:2], state, batch, mask)

    def with_output(
        self, state: TrainState, batch: Any, mask: jax.Array | None = None
    ) -> tuple[TrainState, dict[str, jax.Array], Any]:
        """As a call; returns what the network returned in this step, before the update, too."""
        if not isinstance(state, TrainState):
            remedy = 'state = step.init(key, batch); state, metrics = step(state, batch)'
            raise ArgumentError('a step takes its state first', got=type(state).__name__, remedy=remedy)
        batch = self.batch(batch).with_carry(state.carry)
        trained, rest = self.layer.partition(state.params)
        following, now = jax.random.split(state.key)

        def gradients_at(trained):
            return self._gradients(trained, state.scale, rest, now, batch, mask)

        def value_at(trained, grad_fn=None, obj_fn=None):  # a line search refuses what nothing takes
            return self._forward(trained, rest, now, batch, mask).value

        gradients, forward = gradients_at(trained)
        with jax.numpy_dtype_promotion('standard'):  # optax mixes dtypes
            updates, optimizer = self.optimizer.update(
                gradients,
                state.optimizer,
                trained,
                value=forward.value,
                grad=gradients,
                value_fn=value_at,
                obj_fn=value_at,  # as `optax.contrib.sophia` calls it
                grad_fn=lambda trained, *_: gradients_at(trained)[0],
            )
        updated: Any = jax.tree.map(_moved, trained, updates)
        metrics = self._measured(state.metrics, batch, forward.output, mask)
        new = state._replace(
            params=nest({**flatten(updated), **flatten(rest), **forward.recorded}),
            optimizer=optimizer,
            # a key that nothing was drawn with stays: a program then neither computes nor returns it
            key=following if forward.drew else state.key,
            metrics=metrics,
            totals=None if state.totals is None else Totals.after(state.totals, forward.value, forward.samples),
            carry=forward.carry,
        )
        if self.average is not None and state.average is not None:
            average = tx.incremental_update(updated, state.average, 1 - self.average)
            new = new._replace(average=_if_updated(optimizer, average, state.average))
        if self.guarded or state.scale is not None:
            new = _if_finite((forward.value, gradients), new, state)
        values = self._values(metrics, batch, forward.output)
        return new, {'loss': forward.value, **values}, jax.lax.stop_gradient(forward.output)

    def infer(self, values: Mapping[str, Any], inputs: Sequence[Any], named: Mapping[str, Any]) -> Any:
        """The output in inference, from the params by name: computed in the step's precision, given in float32."""
        return self.infer_carrying(values, inputs, named, self.carry)[0]

    def infer_carrying(
        self, values: Mapping[str, Any], inputs: Sequence[Any], named: Mapping[str, Any], carry: Any
    ) -> tuple[Any, Any]:
        """As `infer`, from what the batch before carries; returns what the next one is given too."""

        def infer() -> Any:
            run = Run(declarations_of(self.layer), dict(values), precision=self.precision)
            run.observe = self._observer(None, (inputs, named))
            return run(self.layer, Batch(tuple(inputs), {}, None).with_carry(carry).inputs, named)

        return self._without_carry(in_precision(knowing_statistics(infer), jnp.float32))

    def _without_carry(self, returned: Any) -> tuple[Any, Any]:
        """The output, and the carry in the structure and the dtypes of the first one.

        Raises:
            ShapeError: if the network returns no such carry.
        """
        if self.carry is None:
            return returned, None
        *outputs, carry = returned if isinstance(returned, tuple | list) and len(returned) > 1 else (returned, ())
        first, structure = jax.tree.flatten(self.carry)
        leaves = jax.tree.leaves(carry)
        if [jnp.shape(leaf) for leaf in leaves] != [leaf.shape for leaf in first]:
            raise ShapeError(
                'what the network carries from batch to batch is the last of what it returns, in the shapes of carry=',
                expected=f'(output, carry), and a carry of shapes {[leaf.shape for leaf in first]}',
                got=jax.tree.map(jnp.shape, returned),
            )
        leaves = [leaf.astype(old.dtype) for leaf, old in zip(leaves, first, strict=True)]
        return outputs[0] if len(outputs) == 1 else tuple(outputs), structure.unflatten(leaves)

    def metrics_for(self, params: Mapping[str, Any], batch: Any, key: Any) -> dict[str, PureMetric]:
        """The metrics with what they take from the shapes of a first batch, such as the number of classes."""
        batch = self.batch(batch)
        return self._for_output(batch, self.output_shapes(params, batch, key)) if self.metrics else {}

    def output_shapes(self, params: Mapping[str, Any], batch: Any, key: Any) -> Any:
        """The shapes of what the network returns in a step; what is traced for it, a step does not trace again."""
        trained, rest = self.layer.partition(params)
        scale = LossScale.initial() if self.precision == 'float16' else None
        batch = self.batch(batch).with_carry(self.carry)
        key = jax.eval_shape(lambda key: jax.random.split(key)[1], as_key(key))
        return jax.eval_shape(self._gradients, trained, scale, rest, key, batch, None)[1].output

    def losses(self, output: Any, label: Any) -> jax.Array:
        """The loss of each sample; of several losses, their sum.

        Raises:
            ArgumentError: if the loss takes other outputs or labels.
            ShapeError: if a loss is not one number for each.
        """
        parts = losses_of(self.loss, output, label)
        return functools.reduce(
            jnp.add, (per_sample(losses, target, axis, name) for name, losses, target, axis in parts)
        )

    @property
    def checks_labels(self) -> bool:
        """Whether the loss can say which labels it takes."""
        return checks_labels(self.loss)

    def check_labels(self, output: Any, label: Any) -> None:
        """Refuses labels that the loss does not take.

        Args:
            output: the network's output, or its shapes.
            label: the labels, on the host or on the device; if they are there, this waits for them.

        Raises:
            DataError: naming one such label.
        """
        for loss, pred, target in checkable(self.loss, output, label):
            loss.check_labels(pred.shape, target)

    def find_nonfinite(self, state: TrainState, batch: Any) -> str | None:
        """Where the step from this state meets the first number that is not finite; None if it meets none.

        The forward pass runs op by op. Layers inside a scan, as in `nn.Repeat`, are passed over; that around it is not.
        """
        return next(self._nonfinite(state, self.batch(batch)), None)

    def _nonfinite(self, state: TrainState, batch: Batch) -> Iterator[str]:
        given = {'the input': batch[:2], 'the label': batch.label}
        given |= {f'parameter {name!r}': value for name, value in flatten(state.params).items()}
        yield from (name for name, value in given.items() if not _is_finite(value))

        found: list[str] = []

        def observe(path: tuple[str, ...], layer: Layer, output: Any) -> Any:
            if not _is_finite(output):
                found.append(f'the output of layer {".".join(path) or "itself"!r} ({type(layer).__name__})')
            return output

        plain = dataclasses.replace(self, remat=False)
        batch = batch.with_carry(state.carry)
        (trained, rest), now = self.layer.partition(state.params), jax.random.split(state.key)[1]
        value = plain._forward(trained, rest, now, batch, None, observe).value
        yield from found
        if not _is_finite(value):
            yield 'the loss, though the output is finite'
        gradients = jax.grad(lambda trained: plain._forward(trained, rest, now, batch, None).value)(trained)
        gradients = flatten(gradients)
        for leaf in leaves_of(self.layer):
            if leaf.name in gradients and not _is_finite(gradients[leaf.name]):
                yield f'the gradient of parameter {leaf.name!r}'

    def _forward(
        self, trained: Any, rest: Any, key: jax.Array, batch: Batch, mask: jax.Array | None, observe: Any = None
    ) -> _Forward:
        label = batch.label
        drew = []

        def forward(trained, inputs, named):
            values = {**flatten(trained), **flatten(rest)}
            run = Run(declarations_of(self.layer), values, None, True, key, mask, self.precision)
            run.observe = self._observer(observe, (inputs, named))
            output = run(self.layer, inputs, named)
            drew.append(bool(run.keys_drawn))
            return output, run.recorded

        make_pass = functools.partial(_rematerialized(forward, self.remat), trained, batch.inputs, batch.named)
        output, recorded = knowing_statistics(make_pass)
        output, carry = self._without_carry(in_precision(output, jnp.float32))
        losses, allowed = self.losses(output, label), self._allowed(output, label)
        if allowed is not None:
            losses = jnp.where(allowed, losses, jnp.nan)
        samples = jnp.float32(len(losses)) if mask is None else mask.sum(dtype='float32')
        return _Forward(mean(losses, mask), samples, output, recorded, carry, any(drew))

    def _gradients(
        self, trained: Any, scale: LossScale | None, rest: Any, key: jax.Array, batch: Batch, mask: Any
    ) -> tuple[Any, _Forward]:
        """What parameters descend by, and what the forward pass made, of the whole batch."""
        traced = any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((trained, rest, key)))
        of_part = functools.partial(self._traced_once if traced else self._of_part, trained, scale)
        gradients, forward = in_micro_batches(of_part, self.micro_batches, rest, key, batch, mask)
        if scale is not None:
            gradients = jax.tree.map(lambda g: g / scale.value, gradients)
        # what descends in complex parameters is the conjugate
        return jax.tree.map(lambda g: jnp.conj(g) if jnp.iscomplexobj(g) else g, gradients), forward

    def _of_part(self, trained: Any, scale: LossScale | None, *given: Any) -> tuple[Any, _Forward]:
        def scaled(trained: Any) -> Any:
            forward = self._forward(trained, *given)
            return forward.value if scale is None else forward.value * scale.value, forward

        return jax.grad(scaled, has_aux=True)(trained)

    @functools.cached_property
    def _traced_once(self) -> Callable[..., Any]:
        """The gradients, whose network JAX traces once for what shapes are asked for, probed and compiled with."""
        return jax.jit(self._of_part)

    def _observer(self, observe: Any, inputs: Any) -> Any:
        """What a run hands the output of each layer to."""
        if observe is not None or self.placed is None:
            return observe
        place, rows = self.placed, rows_of(inputs)
        return lambda path, layer, output: place(layer, output, rows)

    def _allowed(self, output: Any, label: Any) -> jax.Array | None:
        """Which samples have labels that the loss takes; None if it takes all, or cannot tell."""
        allowed = [
            found[0].all(loss.other_axes(target))
            for loss, pred, target in checkable(self.loss, output, label)
            if (found := loss.allowed_labels(pred.shape, target)) is not None
        ]
        return functools.reduce(jnp.logical_and, allowed) if allowed else None

    def _for_output(self, batch: Batch, output: Any) -> dict[str, PureMetric]:
        return {name: metric.for_batch(batch.label, output) for name, metric in self.metrics.items()}

    def _measured(self, states: Mapping[str, Any], batch: Batch, output: Any, mask: Any) -> dict[str, Any]:
        output = jax.lax.stop_gradient(output)
        metrics = self._for_output(batch, output)
        return {name: metric.update(states[name], batch.label, output, mask) for name, metric in metrics.items()}

    def _values(self, states: Mapping[str, Any], batch: Batch, output: Any) -> dict[str, jax.Array]:
        return {name: metric.compute(states[name]) for name, metric in self._for_output(batch, output).items()}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class _Forward:
    value: jax.Array
    samples: jax.Array
    output: Any
    recorded: dict[str, Any]
    carry: Any
    drew: bool = dataclasses.field(metadata={'static': True})  # whether a layer asked for randomness


@suggests_keywords
def make_step(
    layer: Layer | Block,
    loss: LossLike,
    optimizer: Any = 'sgd',
    optimizer_params: Mapping[str, Any] | None = None,
    *,
    metrics: Sequence[Any] = (),
    clip_global_norm: float | None = None,
    accumulate: int = 1,
    micro_batches: int = 1,
    precision: Precision | None = None,
    average: float | None = None,
    remat: Remat = False,
    skip_nonfinite: bool = False,
    train: str | None = None,
    carry: Any = None,
    lr_mult: Mapping[str, float] | None = None,
    wd_mult: Mapping[str, float] | None = None,
) -> TrainStep:
    """The pure training step of a layer, a loss and an optimizer.

    Args:
        layer: a layer, or a network, whose definition is taken.
        loss: one number for each sample. A function `loss(outputs, labels)` takes all that the network returns, and
            all labels of the batch, `(x, (y1, y2))`, or a dict. One of `gluonjax.loss` takes each of them by position:
            `(x, (y, sample_weight))` is weighted. A dict has a loss for each output that `forward` returns in a dict,
            with the label of the same name; their sum is minimized.
        optimizer: a name of MXNet's, one of `gluonjax.optimizer`, or any `optax.GradientTransformation`.
        optimizer_params: arguments of an optimizer given by name.
        metrics: metrics with a pure form, or their names in MXNet; the state adds them up.
        clip_global_norm: gradients whose global norm is larger than this are scaled down to it.
        accumulate: the optimizer updates the parameters once every `accumulate` steps, by their mean gradient
            (`optax.MultiSteps`).
        micro_batches: a step splits its batch into this many parts, adds up their gradients one after the other, and
            updates the parameters once, by the mean over all samples: only the activations of one part are in memory.
            Each part has batch statistics of its own, as in BatchNorm.
        precision: 'bfloat16' or 'float16' computes the forward and backward pass in it; parameters, statistics, loss
            and update stay in float32. With 'float16' the loss is scaled, and a step that overflows changes nothing.
            Parameters that are not trained are read in it too, but for those that `forward` sets and those with
            `Param(keep_dtype=True)`. A product with a float32 array of your own is one of float32, as anywhere in JAX:
            `x @ array.astype(x.dtype)`. The library's layers sum gradients in float32; where a layer of your own
            broadcasts a parameter, JAX sums in half precision, and `gluonjax.nn.precision` has `broadcast`, `add_bias`
            and `rows`, which do not.
        average: the decay of a moving average of the parameters, such as 0.999; None for none.
        remat: True computes the forward pass again in the backward pass instead of keeping it (`jax.checkpoint`); or
            the policy of what is kept all the same, as for `nn.Repeat`: 'dots' and others, a list of names, or one of
            `jax.checkpoint_policies`.
        skip_nonfinite: a step whose loss or gradient is not finite changes nothing.
        train: a pattern (`re.match` on names, any of a tied parameter's); None trains all. Parameters that it does not
            match are read, and neither they nor running statistics change: no gradient is computed for them, and the
            optimizer keeps nothing of them. A BatchNorm of which it matches no name normalizes by its running
            statistics, as in inference: `train='head|.*running_'` lets all of them take those of the batch, and record
            them. What has `grad_req='null'` stays untrained; dropout stays on.
        carry: what the network carries from a batch to the next, before the first one: a pytree of arrays, such as
            `net.lstm.begin_state(batch_size=32)`. `forward(x, carry)` is given it after the inputs by position, and
            returns `(output, next carry)`; loss and metrics are given the output. No gradient flows from a batch to the
            one before: that is truncated backpropagation through time. It is `state.carry`.
        lr_mult: dict from patterns (`re.match` on names, any of a tied parameter's) to factors on the learning rate of
            parameters; the first that matches counts.
        wd_mult: the same for weight decay.

    Raises:
        ArgumentError: if an argument has a value that is not allowed.
        PatternError: if `train`, or a pattern of `lr_mult` or `wd_mult`, matches nothing.

    >>> from gluonjax import loss, nn
    >>> step = make_step(nn.Dense(1), loss.L2Loss(), 'sgd', {'learning_rate': 0.1})
    >>> batch = jnp.ones((4, 2)), jnp.ones((4, 1))
    >>> state = step.init(0, batch)
    >>> state, metrics = jax.jit(step, donate_argnums=0)(state, batch)
    >>> metrics['loss'].shape
    ()
    """
    definition = layer.definition if isinstance(layer, Block) else layer
    if not isinstance(definition, Layer):
        raise ArgumentError('a step trains a layer or a network', got=type(layer).__name__)
    check_loss(loss)
    checks.one_of('precision', precision, (None, *PRECISIONS))
    trained = training_only(definition, train)
    created = make_optimizer(optimizer, optimizer_params)
    transformation = tx.with_known_extra_args(_with_multipliers(created, trained, lr_mult, wd_mult))
    if clip_global_norm is not None:
        limit = checks.number('clip_global_norm', clip_global_norm, least=0)
        transformation = tx.chain(tx.clip_by_global_norm(limit), transformation)
    if checks.size('micro_batches', micro_batches) > 1:
        check_micro_batches(definition, loss, carry)
    if (count := checks.size('accumulate', accumulate)) > 1:
        steps: Any = tx.MultiSteps(tx.without_functions(transformation), count)
        transformation = tx.GradientTransformationExtraArgs(steps.init, steps.update)
    return TrainStep(
        layer=trained,
        loss=loss,
        optimizer=transformation,
        metrics=pure_metrics(metrics),
        precision=precision,
        average=None if average is None else checks.number('average', average, least=0, most=1),
        remat=remat if isinstance(remat, bool) else checkpoint_policy('remat', remat) or True,
        guarded=checks.flag('skip_nonfinite', skip_nonfinite),
        carry=checked_carry(carry),
        micro_batches=micro_batches,
    )


def _first_state(optimizer: Any, params: Any) -> Any:
    """The optimizer's state before the first step, no two leaves of one buffer: all are donated."""

    def first(params: Any) -> Any:
        return jax.tree.map(jnp.copy, optimizer.init(params))

    leaves = jax.tree.leaves(params)
    concrete = all(isinstance(leaf, jax.Array) and not isinstance(leaf, jax.core.Tracer) for leaf in leaves)
    devices = set().union(*(leaf.devices() for leaf in leaves)) if concrete else ()
    if len(devices) == 1 and len({leaf.shape for leaf in leaves}) > _SHAPES:  # over several, each stays where it is
        try:
            return jax.jit(first)(params)
        except (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError):
            pass  # an optimizer that looks at values
    return first(params)


def make_optimizer(optimizer: Any, options: Any) -> Any:
    """An optimizer as `make_step` and `Trainer` are given it.

    Raises:
        ArgumentError: for what is none, or has no such options.
    """
    if not isinstance(options, Mapping | None):
        raise ArgumentError(f"optimizer_params must be a dict such as {{'learning_rate': 0.1}}, got {options!r}")
    return optimizers.create(optimizer, **(options or {}))


def _with_multipliers(
    optimizer: Any, trained: Layer, lr_mult: Mapping[str, float] | None, wd_mult: Mapping[str, float] | None
) -> Any:
    """An optimizer with factors of parameters, and whose own patterns match any of their names."""
    names = [leaf.names for leaf in leaves_of(trained) if leaf.param.trainable]
    rates, decays = factors_of('lr_mult', lr_mult, names), factors_of('wd_mult', wd_mult, names)
    optimizer = optimizer.for_names(names) if isinstance(optimizer, Optimizer) else optimizer
    return optimizers.with_multipliers(optimizer, rates, decays) if rates or decays else optimizer


def _rematerialized(function: Callable[..., Any], remat: bool | Callable[..., Any]) -> Callable[..., Any]:
    if not remat:
        return function
    return jax.checkpoint(function, policy=None if remat is True else remat)


def pure_metrics(metrics: Any) -> dict[str, PureMetric]:
    """The definitions of metrics, by name; of composite ones, those in them."""
    return {name: pure for name, (_, pure) in parts_of(metrics).items()}


def per_sample(losses: Any, label: Any, axis: int = 0, name: str = '') -> jax.Array:
    """The losses, if they are one number for each sample, of which the labels have as many along an axis.

    Raises:
        ArgumentError: if they are no array, such as losses with something beside them.
        ShapeError: if they are not one number for each sample.
    """
    if not (hasattr(losses, 'dtype') or isinstance(losses, float | int)):
        raise ArgumentError(
            'a loss gives one array',
            expected='loss(output, label) -> one number for each sample',
            got=f'{type(losses).__name__}: {jax.tree.map(np.shape, losses)}',
            remedy='return the losses alone; what else a batch is to tell is a metric: Trainer(..., metrics=[...])',
        )
    losses, labels = jnp.asarray(losses), jax.tree.leaves(label)
    rows = {jnp.shape(leaf)[axis:][:1] for leaf in labels}
    if losses.ndim != 1 or (len(rows) == 1 and rows not in ({()}, {losses.shape})):
        raise ShapeError(
            f'{f"loss {name!r}" if name else "a loss"} gives one number for each sample',
            expected='shape (batch,)',
            got=losses.shape,
            remedy='a loss of your own averages over all axes but the first; the Trainer averages over the batch',
        )
    return losses


def mean(losses: jax.Array, mask: jax.Array | None = None) -> jax.Array:
    """The mean of the losses of valid samples, in float32 at least."""
    losses = losses.astype(checks.at_least_float32(losses.dtype))
    return losses.mean() if mask is None else jnp.where(mask, losses, 0).sum() / mask.sum(dtype=losses.dtype)


def _moved(param: jax.Array, update: Any) -> jax.Array:
    if param.dtype == update.dtype and param.shape == update.shape:
        return jax.lax.add(param, update)
    moved = param + update
    return moved if moved.dtype == param.dtype else moved.astype(param.dtype)


def _if_updated(optimizer: Any, new: Any, old: Any) -> Any:
    """The new values, unless the optimizer only added a gradient up."""
    if not isinstance(optimizer, tx.MultiStepsState):
        return new
    return jax.tree.map(lambda new, old: jnp.where(optimizer.mini_step == 0, new, old), new, old)


def _if_finite(watched: Any, new: TrainState, state: TrainState) -> TrainState:
    """The new state if all that is watched is finite; else the old one, with a smaller loss scale."""
    finite = jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(watched)]).all()
    chosen: dict[tuple[int, int], Any] = {}

    def choose(new: Any, old: Any) -> Any:
        """One of the two, and the same array for the same two, so that counts which are one stay one."""
        if new is not old and (id(new), id(old)) not in chosen:
            chosen[id(new), id(old)] = jnp.where(finite, new, old)
        return chosen.get((id(new), id(old)), new)

    kept = jax.tree.map(choose, new, state)
    if state.skipped is not None:
        kept = kept._replace(skipped=state.skipped + (~finite).astype(jnp.int32))
    return kept if state.scale is None else kept._replace(scale=state.scale.after(finite))


def _is_finite(tree: Any) -> bool:
    """Whether all numbers that can be seen are finite."""
    numbers = [leaf for leaf in jax.tree.leaves(tree) if not isinstance(leaf, jax.core.Tracer)]
    floating = [leaf for leaf in numbers if jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)]
    return all(bool(jnp.isfinite(leaf).all()) for leaf in floating)
