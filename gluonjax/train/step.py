"""The pure training step: `step(state, batch) -> (state, metrics)` on pytrees. The Trainer runs this very function."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from gluonjax import checks
from gluonjax import optimizer as optimizers
from gluonjax.block import Block
from gluonjax.errors import ArgumentError, ShapeError
from gluonjax.keys import as_key
from gluonjax.layer import Layer, begin_run, leaves_of, run_layer
from gluonjax.loss import Loss
from gluonjax.metric import create as create_metric
from gluonjax.metric import double_float
from gluonjax.metric.eval_metric import EvalMetric
from gluonjax.metric.pure import PureMetric
from gluonjax.optimizer import transforms as tx
from gluonjax.tree import flatten, nest

PRECISIONS = ('bfloat16', 'float16')


class LossScale(NamedTuple):
    """What the loss is multiplied with before the gradient, so that float16 does not lose small ones.

    It halves when a gradient overflows, and doubles after `GROWTH` steps without (Micikevicius et al., 2018).
    """

    value: jax.Array
    good: jax.Array  # steps since it changed

    GROWTH = 2000
    MOST = 2.0**24

    def after(self, finite) -> 'LossScale':
        """The scale after a step whose gradients were finite, or not."""
        grown = self.good + 1 >= self.GROWTH
        value = jnp.where(grown, jnp.minimum(self.value * 2, self.MOST), self.value)
        return LossScale(
            jnp.where(finite, value, jnp.maximum(self.value / 2, 1.0)),
            jnp.where(finite & ~grown, self.good + 1, 0),
        )


class State(NamedTuple):
    """Everything that a step changes: a pytree of arrays.

    Attributes:
        params: all values of the network, running statistics too.
        optimizer: the optimizer's state, of the trainable params only.
        key: the random key from which the next step's is split.
        metrics: the states of the metrics, by name.
        average: the moving average of the trainable params; None without one.
        scale: the loss scale of float16; None without one.
        skipped: how many steps changed nothing, as they were not finite; None without skip_nonfinite.
        totals: the sum of the losses and the number of the samples since the metrics were reset, as `Totals` reads
            them; of steps that changed something.
    """

    params: dict[str, Any]
    optimizer: Any
    key: jax.Array
    metrics: dict[str, Any] = {}  # noqa: RUF012  (never changed in place)
    average: dict[str, Any] | None = None
    scale: LossScale | None = None
    skipped: jax.Array | None = None
    totals: jax.Array | None = None


class Totals(NamedTuple):
    """What was added up over steps: the losses of samples, and their number."""

    loss: float = 0.0
    samples: float = 0.0

    @classmethod
    def zero(cls) -> jax.Array:
        """Those of no step, as a state has them."""
        return double_float.zero((2,))

    @classmethod
    def of(cls, state: State) -> 'Totals':
        """Those of a state; this waits for the device."""
        return cls() if state.totals is None else cls(*double_float.value(np.asarray(state.totals)).tolist())

    @property
    def mean(self) -> float:
        """The mean loss of the samples; nan of none."""
        return self.loss / self.samples if self.samples else math.nan


@dataclasses.dataclass(frozen=True, eq=False)
class Step:
    """What `make_step` returns: call it, or jit it, as `step(state, batch, mask=None) -> (state, metrics)`."""

    layer: Layer
    loss: Callable
    optimizer: Any
    metrics: Mapping[str, PureMetric]
    precision: str | None
    average: float | None
    checkpoint: Callable
    guarded: bool

    def init(self, key, batch, *, params: Mapping[str, Any] | None = None, init=None) -> State:
        """The first state.

        Args:
            key: a JAX key or an int: parameters are drawn with it, and the keys of the steps are split from it.
            batch: a batch, or the shapes of one (`jax.ShapeDtypeStruct`).
            params: the values to start from; drawn by `layer.init` if None.
            init: the initializer, as for `layer.init`.
        """
        inputs, named, label = parts(batch)
        values = self.layer.init(key, *inputs, init=init, **named) if params is None else params
        trained, _ = self.layer.partition(values)
        preds = jax.eval_shape(self.infer, flatten(values), inputs, named) if self.metrics else None
        states = {name: metric.for_batch(label, preds).init() for name, metric in self.metrics.items()}
        return State(
            params=dict(values),
            optimizer=jax.tree.map(
                jnp.copy, self.optimizer.init(trained)
            ),  # no two leaves of one buffer: all are donated
            key=as_key(key),
            metrics=states,
            average=None if self.average is None else jax.tree.map(jnp.copy, trained),
            scale=LossScale(jnp.float32(2**15), jnp.int32(0)) if self.precision == 'float16' else None,
            skipped=jnp.int32(0) if self.guarded else None,
            totals=Totals.zero(),
        )

    def __call__(self, state: State, batch, mask=None) -> tuple[State, dict[str, jax.Array]]:
        """One step: forward, loss, backward, update, running statistics, metrics, the next key.

        Args:
            state: from `init`, or the step before.
            batch: `(*inputs, label)`, or a dict of inputs by name with 'label' among them.
            mask: which samples count, of bool and shape (batch,); None for all. Padding is left out this way, of the
                mean, of metrics and of BatchNorm's statistics.

        Returns:
            The next state, and 'loss' (the mean over the samples, a float32 scalar) with the metrics' values so far.
            The loss is nan if a sample has a label that the loss does not take; that sample has no gradient.

        Raises:
            ShapeError: if the loss is not one number for each sample.
        """
        trained, rest = self.layer.partition(state.params)
        scale = 1.0 if state.scale is None else state.scale.value
        following, now = jax.random.split(state.key)

        def scaled(trained):
            forward = self._forward(trained, rest, now, batch, mask)
            return forward.value * scale, forward

        gradients, forward = jax.grad(scaled, has_aux=True)(trained)
        gradients = jax.tree.map(jnp.conj, gradients)  # what descends in complex parameters is the conjugate
        gradients = gradients if state.scale is None else jax.tree.map(lambda g: g / scale, gradients)
        # what optax's transformations with extra arguments ask for, such as line searches; others are not handed it
        updates, optimizer = tx.with_extra_args_support(self.optimizer).update(
            gradients,
            state.optimizer,
            trained,
            value=forward.value,
            grad=gradients,
            value_fn=lambda trained: self._forward(trained, rest, now, batch, mask).value,
        )
        moved: Any = tx.apply_updates(trained, updates)
        metrics = self._measured(state.metrics, batch, forward.output, mask)
        news = state._replace(
            params=nest({**flatten(moved), **flatten(rest), **forward.recorded}),
            optimizer=optimizer,
            # a key that nothing was drawn with stays: a program then neither computes nor returns it
            key=following if forward.drew else state.key,
            metrics=metrics,
            totals=None if state.totals is None else double_float.add(state.totals, double_float.of(forward.totals)),
        )
        if self.average is not None and state.average is not None:
            average = tx.incremental_update(moved, state.average, 1 - self.average)
            news = news._replace(average=_if_updated(optimizer, average, state.average))
        if self.guarded or state.scale is not None:
            news = _if_finite((forward.value, gradients), news, state)
        return news, {'loss': forward.value, **self._values(metrics, batch, forward.output)}

    def infer(self, values: Mapping[str, Any], inputs, named) -> Any:
        """The output in inference, from the params by name: computed in the step's precision, given in float32."""
        if self.precision is not None:
            trained = {leaf.name: values[leaf.name] for leaf in leaves_of(self.layer) if leaf.param.trainable}
            trained, inputs, named = _cast((trained, inputs, named), self.precision)
            values = {**values, **trained}  # running statistics stay as they are, as in training
        return _cast(run_layer(self.layer, values, inputs, named)[0], jnp.float32)

    @property
    def checks_labels(self) -> bool:
        """Whether the loss can say which labels it takes."""
        return isinstance(self.loss, Loss) and type(self.loss).allowed_labels is not Loss.allowed_labels

    def check_labels(self, output, label) -> None:
        """Refuses labels that the loss does not take.

        Args:
            output: the network's output, or its shapes.
            label: the labels, on the host or on the device; if they are there, this waits for them.

        Raises:
            DataError: naming one such label.
        """
        if self.checks_labels and hasattr(output, 'shape') and hasattr(label, 'shape'):
            self.loss.check_labels(output.shape, label)  # pyright: ignore[reportFunctionMemberAccess]

    def find_nonfinite(self, state: State, batch) -> str | None:
        """Where the step from this state meets the first number that is not finite; None if it meets none.

        The forward pass runs op by op. Layers inside a scan, as in `nn.Repeat`, are passed over; that around it is not.
        """
        plain = dataclasses.replace(self, checkpoint=_checkpoint(False))
        (trained, rest), now = self.layer.partition(state.params), jax.random.split(state.key)[1]
        given = {'the input': parts(batch)[:2], 'the label': parts(batch)[2]}
        given |= {f'parameter {name!r}': value for name, value in flatten(state.params).items()}
        found = [name for name, value in given.items() if not _is_finite(value)]

        def observe(path, layer, output):
            if not _is_finite(output):
                found.append(f'the output of layer {".".join(path) or "itself"!r} ({type(layer).__name__})')

        if not found:
            value = plain._forward(trained, rest, now, batch, None, observe).value
            found += [] if _is_finite(value) else ['the loss, though the output is finite']
        if not found:
            gradients = jax.grad(lambda trained: plain._forward(trained, rest, now, batch, None).value)(trained)
            gradients = flatten(gradients)
            ordered = [leaf.name for leaf in leaves_of(self.layer) if leaf.name in gradients]
            names = [name for name in ordered if not _is_finite(gradients[name])]
            found += [f'the gradient of parameter {name!r}' for name in names]
        return next(iter(found), None)

    def _forward(self, trained, rest, key, batch, mask, observe=None) -> '_Forward':
        inputs, named, label = parts(batch)
        drew = []

        def forward(trained, inputs, named):
            if self.precision is not None:
                trained, inputs, named = _cast((trained, inputs, named), self.precision)
            run = begin_run(self.layer, {**flatten(trained), **flatten(rest)}, training=True, key=key, mask=mask)
            run.observe = observe
            output = run(self.layer, inputs, named)
            drew.append(bool(run.keys_drawn))
            return output, run.recorded

        output, recorded = self.checkpoint(forward)(trained, inputs, named)
        output = _cast(output, jnp.float32)
        loss = self.loss.per_sample if isinstance(self.loss, Loss) else self.loss
        losses, allowed = per_sample(loss(output, label), label), self._allowed(output, label)
        if allowed is not None:
            losses = jnp.where(allowed, losses, jnp.nan)
        value, samples = mean(losses, mask), jnp.float32(len(losses)) if mask is None else mask.sum(dtype='float32')
        return _Forward(value, jnp.stack([value * samples, samples]), output, recorded, any(drew))

    def _allowed(self, output, label) -> jax.Array | None:
        """Which samples have labels that the loss takes; None if it takes all, or cannot tell."""
        if not (isinstance(self.loss, Loss) and hasattr(output, 'shape') and hasattr(label, 'shape')):
            return None
        allowed = self.loss.allowed_labels(output.shape, label)
        return None if allowed is None else allowed[0].all(tuple(range(1, label.ndim)))

    def _completed(self, batch, output) -> dict[str, PureMetric]:
        label = parts(batch)[2]
        return {name: metric.for_batch(label, output) for name, metric in self.metrics.items()}

    def _measured(self, states, batch, output, mask) -> dict[str, Any]:
        label, output = parts(batch)[2], jax.lax.stop_gradient(output)
        metrics = self._completed(batch, output)
        return {name: metric.update(states[name], label, output, mask) for name, metric in metrics.items()}

    def _values(self, states, batch, output) -> dict[str, jax.Array]:
        return {name: metric.compute(states[name]) for name, metric in self._completed(batch, output).items()}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class _Forward:
    value: jax.Array
    totals: jax.Array  # what it adds to those of the state
    output: Any
    recorded: dict[str, Any]
    drew: bool = dataclasses.field(metadata={'static': True})  # whether a layer asked for randomness


def make_step(
    layer,
    loss: Callable,
    optimizer: Any = 'sgd',
    optimizer_params: Mapping[str, Any] | None = None,
    *,
    metrics: Sequence[Any] = (),
    clip_global_norm: float | None = None,
    accumulate: int = 1,
    precision: str | None = None,
    average: float | None = None,
    remat: bool | Callable = False,
    skip_nonfinite: bool = False,
) -> Step:
    """The pure training step of a layer, a loss and an optimizer.

    Args:
        layer: a layer, or a network, whose definition is taken.
        loss: `loss(output, label)` gives one number for each sample: one of `gluonjax.loss`, or any function.
        optimizer: a name of MXNet's, one of `gluonjax.optimizer`, or any `optax.GradientTransformation`.
        optimizer_params: arguments of an optimizer given by name.
        metrics: metrics with a pure form, or their names in MXNet; the state adds them up.
        clip_global_norm: gradients longer than this, all together, are scaled to this length.
        accumulate: the optimizer moves after so many steps, by their mean gradient (`optax.MultiSteps`).
        precision: 'bfloat16' or 'float16' computes the forward and backward pass in it; parameters, statistics, loss
            and update stay in float32. With 'float16' the loss is scaled, and a step that overflows changes nothing.
        average: the decay of a moving average of the parameters, such as 0.999; None for none.
        remat: True computes the forward pass again in the backward pass instead of keeping it (`jax.checkpoint`); or
            one of `jax.checkpoint_policies`.
        skip_nonfinite: a step whose loss or gradient is not finite changes nothing.

    Raises:
        ArgumentError: if an argument has no such value.

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
    if not callable(loss):
        raise ArgumentError('the loss cannot be called', expected='loss(output, label)', got=repr(loss))
    if isinstance(loss, type):
        raise ArgumentError(
            'this is the class of a loss', got=loss.__name__, remedy=f'an object of it: {loss.__name__}()'
        )
    if precision not in (None, *PRECISIONS):
        raise ArgumentError('the precision is unknown', expected=f'None or one of {PRECISIONS}', got=repr(precision))
    transformation = optimizers.create(optimizer, **(optimizer_params or {}))
    if clip_global_norm is not None:
        limit = checks.number('clip_global_norm', clip_global_norm, least=0)
        transformation = tx.chain(tx.clip_by_global_norm(limit), transformation)
    if checks.size('accumulate', accumulate) > 1:
        steps: Any = tx.MultiSteps(transformation, accumulate)
        transformation = tx.GradientTransformationExtraArgs(steps.init, steps.update)
    return Step(
        layer=definition,
        loss=loss,
        optimizer=transformation,
        metrics=pure_metrics(metrics),
        precision=precision,
        average=None if average is None else checks.number('average', average, least=0, most=1),
        checkpoint=_checkpoint(remat),
        guarded=skip_nonfinite,
    )


def _checkpoint(remat: bool | Callable) -> Callable:
    if not remat:
        return lambda function: function
    policy = None if remat is True else remat
    return lambda function: jax.checkpoint(function, policy=policy)


def parts(batch) -> tuple[tuple[Any, ...], dict[str, Any], Any]:
    """The inputs by position, the inputs by name, and the label of a batch.

    >>> parts(('x', 'y'))
    (('x',), {}, 'y')
    >>> parts({'x': 1, 'label': 2})
    ((), {'x': 1}, 2)
    """
    if isinstance(batch, Mapping) and 'label' in batch:
        return (), {name: value for name, value in batch.items() if name != 'label'}, batch['label']
    if not isinstance(batch, tuple | list) or len(batch) < 2:
        raise ArgumentError(
            'this is no batch',
            expected="(*inputs, label), or a dict with 'label' and inputs by name",
            got=sorted(batch) if isinstance(batch, Mapping) else _described(batch),
            remedy='trainer.step(x, y): a step takes the data itself, and computes loss and gradients too',
        )
    return tuple(batch[:-1]), {}, batch[-1]


def _described(batch) -> str:
    if isinstance(batch, tuple | list):
        return f'a {type(batch).__name__} of {len(batch)}'
    return f'{type(batch).__name__} of shape {batch.shape}' if hasattr(batch, 'shape') else repr(batch)


def pure_metrics(metrics: Sequence[Any]) -> dict[str, PureMetric]:
    """The definitions of metrics, by name; of a composite one, those in it."""
    found: dict[str, PureMetric] = {}
    for metric in metrics if isinstance(metrics, list | tuple) else [metrics]:
        metric = create_metric(metric) if isinstance(metric, str) else metric
        if not isinstance(metric, EvalMetric | PureMetric):
            raise ArgumentError('this is no metric', expected='one of gluonjax.metric, or its name', got=repr(metric))
        name = metric.name if isinstance(metric, EvalMetric) else type(metric).__name__.lower()
        if name in found or name == 'loss':
            raise ArgumentError(f'two metrics are called {name!r}', remedy='give one of them another name=')
        found[name] = metric.pure if isinstance(metric, EvalMetric) else metric
    return found


def per_sample(losses, label) -> jax.Array:
    """The losses, if they are one number for each sample.

    Raises:
        ShapeError: if they are not.
    """
    losses, labels = jnp.asarray(losses), jax.tree.leaves(label)
    if losses.ndim != 1 or (len(labels) == 1 and jnp.ndim(labels[0]) and len(losses) != len(labels[0])):
        raise ShapeError(
            'a loss gives one number for each sample',
            expected='shape (batch,)',
            got=losses.shape,
            remedy='a loss of your own averages over all axes but the first; the Trainer averages over the batch',
        )
    return losses


def mean(losses, mask=None) -> jax.Array:
    """The mean of the losses that count, in float32 at least."""
    losses = losses.astype(jnp.promote_types(losses.dtype, jnp.float32))
    return losses.mean() if mask is None else jnp.where(mask, losses, 0).sum() / mask.sum()


def _cast(tree, dtype):
    """The tree with its floating-point leaves in another precision; float64 stays as it is."""

    def cast(leaf):
        narrow = jnp.issubdtype(jnp.result_type(leaf), jnp.floating) and jnp.result_type(leaf) != jnp.float64
        return jnp.asarray(leaf, dtype) if narrow else leaf

    return jax.tree.map(cast, tree)


def _if_updated(optimizer: Any, new: Any, old: Any) -> Any:
    """The new values, unless the optimizer only added a gradient up."""
    if not isinstance(optimizer, tx.MultiStepsState):
        return new
    return jax.tree.map(lambda new, old: jnp.where(optimizer.mini_step == 0, new, old), new, old)


def _if_finite(watched, news: State, state: State) -> State:
    """The new state if all that is watched is finite; else the old one, with a smaller loss scale."""
    finite = math.prod(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(watched))
    finite = jnp.asarray(finite, bool)
    kept = jax.tree.map(lambda new, old: new if new is old else jnp.where(finite, new, old), news, state)
    if state.skipped is not None:
        kept = kept._replace(skipped=state.skipped + ~finite)
    return kept if state.scale is None else kept._replace(scale=state.scale.after(finite))


def _is_finite(tree) -> bool:
    """Whether all numbers that can be seen are finite."""
    numbers = [leaf for leaf in jax.tree.leaves(tree) if not isinstance(leaf, jax.core.Tracer)]
    floating = [leaf for leaf in numbers if jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)]
    return all(bool(jnp.isfinite(leaf).all()) for leaf in floating)
