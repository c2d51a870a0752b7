"""What `net.hybridize` chooses instead of a program that takes the values: op by op, or with the values compiled in."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from operator import is_
from typing import Any

import jax

from gluonjax.block import Block, refuse_traced_training, set_mode
from gluonjax.checks import flag
from gluonjax.failures import explaining
from gluonjax.layer import declarations_of
from gluonjax.lazy import suggests_keywords
from gluonjax.parameter import LOCK, Parameter, commit, draw_deferred, hand_out
from gluonjax.ref import Values, read
from gluonjax.run import Run
from gluonjax.structure import Structure


@suggests_keywords
def hybridize(
    net: Block,
    active: bool = True,
    *,
    static_params: bool = False,
    static_alloc: bool = False,
    static_shape: bool = False,
) -> None:
    """Chooses how calls run; networks start out compiled.

    Args:
        active: False runs `forward` op by op, on concrete arrays.
        static_params: compile the values into the program, for serving; it is rebuilt after they change.
        static_alloc: MXNet's; accepted, XLA always does so.
        static_shape: MXNet's; accepted, XLA always does so.
    """
    with LOCK:
        for _, block in net.named_blocks():
            set_mode(block, flag('active', active), static_params)


def call_eagerly(
    net: Block, structure: Structure, inputs: tuple[Any, ...], named: Mapping[str, Any], training: bool, key: Any
) -> tuple[Any, dict[str, Any]]:
    """The output, and what was recorded in training. A missing value is drawn when a layer has inferred its shape.

    Raises:
        TransformationError: for training inside a transformation.
        UninitializedError: for a Parameter that was never asked to initialize.
    """
    drawn, by_name = dict[Parameter, jax.Array](), structure.parameters_by_name()

    def draw(name: str, shape: tuple[int, ...]) -> jax.Array:
        drawn.update(draw_deferred({by_name[name]: (by_name[name].deferred_or_error(), shape)}))
        return drawn[by_name[name]]

    def forward() -> tuple[Any, dict[str, Any]]:
        with explaining(net, (inputs, named)):
            output = run(structure.definition, inputs, named)
        if training:
            refuse_traced_training((output, run.recorded))
        return output, run.recorded if training else {}

    with LOCK:
        for parameter in structure.parameters:
            parameter.check_not_donated()
        hand_out(structure.parameters)  # so that nobody donates what is read now, or returned
        values = {name: p.current for name, p in by_name.items() if p.current is not None}
        shapes = {name: p.shape for name, p in by_name.items()}
        run = Run(declarations_of(structure.definition), values, shapes, training, key, draw=draw)
        if len(values) < len(by_name):
            result = forward()
            commit(drawn)
            return result
    return forward()


def _compiled_in(infer: Callable[..., Any], values: Sequence[jax.Array]) -> Callable[..., Any]:
    """A function of the inputs, compiled for the device that the values were put on; over several they stay outside."""
    run, shardings = functools.partial(infer, *values), {value.sharding for value in values if value.committed}
    devices = {device for sharding in shardings for device in sharding.device_set}
    if len(devices) > 1:
        return run
    return jax.jit(run, out_shardings=jax.sharding.SingleDeviceSharding(*devices) if devices else None)


def kept_outside(parameters: Sequence[Parameter], values: Values) -> bool:
    """Notes that somebody's trace holds these values; False if a step has replaced and donated them already."""
    with LOCK:
        initialized = None not in values
        hand_out(parameters)
        return not initialized or all(map(is_, read(parameters), values))


def serving(net: Block, structure: Structure) -> Callable[..., Any]:
    """As `Structure.inference`, with the values compiled in; it compiles again when one of them was replaced."""
    infer, frozen, count = structure.inference(), [], len(structure.names)

    def forward(*arguments: Any) -> Any:
        if not frozen or not all(map(is_, frozen[0], arguments)):
            hand_out(structure.parameters)
            frozen[:] = arguments[:count], _compiled_in(infer, arguments[:count])
        return frozen[1](*arguments[count:])

    return forward
