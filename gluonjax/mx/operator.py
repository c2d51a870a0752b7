"""`mx.operator`: operators of one's own in Python, which `nd.Custom` calls.

>>> from gluonjax.mx import autograd, nd, operator
>>> class Twice(operator.CustomOp):
...     def forward(self, is_train, req, in_data, out_data, aux):
...         self.assign(out_data[0], req[0], 2 * in_data[0])
...
...     def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
...         self.assign(in_grad[0], req[0], 2 * out_grad[0])
>>> @operator.register('twice')
... class TwiceProp(operator.CustomOpProp):
...     def create_operator(self, ctx, shapes, dtypes):
...         return Twice()
>>> nd.Custom(nd.ones(2), op_type='twice').asnumpy()
array([2., 2.], dtype=float32)

In graphs (`mx.sym.Custom`) their Python runs on the host, as often as the graph runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from gluonjax.errors import ArgumentError, ShapeError
from gluonjax.mx import autograd, ndarray
from gluonjax.mx.array import NDArray
from gluonjax.mx.context import current_context
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.op import INFERENCE, Operator, Pass
from gluonjax.mx.op.table import enter
from gluonjax.mx.tape import Tracked

_Class = TypeVar('_Class', bound=type)
_REGISTERED: dict[str, Any] = {}


class CustomOp:
    """What an operator computes: override `forward` and `backward`, which write by `assign`."""

    def forward(self, is_train: bool, req: Any, in_data: Any, out_data: Any, aux: Any) -> None:
        """Writes the outputs."""
        raise NotImplementedError(f'{type(self).__name__}.forward')

    def backward(self, req: Any, out_grad: Any, in_data: Any, out_data: Any, in_grad: Any, aux: Any) -> None:
        """Writes the gradients of the inputs."""
        raise NotImplementedError(f'{type(self).__name__}.backward')

    def assign(self, dst: NDArray, req: str, src: Any) -> None:
        """Writes into an array ('write', 'inplace'), adds to it ('add'), or neither ('null')."""
        if req in ('write', 'inplace'):
            dst[:] = src
        elif req == 'add':
            dst[:] = dst + src


class CustomOpProp:
    """What an operator is: its inputs, outputs, shapes, and the `CustomOp` that computes it.

    Args:
        need_top_grad: accepted; gradients of outputs are always there.
    """

    def __init__(self, need_top_grad: bool = True):
        self.need_top_grad_: bool = need_top_grad

    def list_arguments(self) -> list[str]:
        """The names of the inputs."""
        return ['data']

    def list_outputs(self) -> list[str]:
        """The names of the outputs."""
        return ['output']

    def list_auxiliary_states(self) -> list[str]:
        """The names of inputs that are states."""
        return []

    def infer_shape(self, in_shape: Any) -> Any:
        """The shapes of inputs, outputs and states; by default outputs are like the first input."""
        return in_shape, [in_shape[0]] * len(self.list_outputs()), []

    def infer_type(self, in_type: Any) -> Any:
        """The dtypes of inputs, outputs and states."""
        return in_type, [in_type[0]] * len(self.list_outputs()), [in_type[0]] * len(self.list_auxiliary_states())

    def declare_backward_dependency(self, out_grad: Any, in_data: Any, out_data: Any) -> list[Any]:
        """What `backward` needs: everything is kept."""
        return [*out_grad, *in_data, *out_data]

    def create_operator(self, ctx: Any, in_shapes: Any, in_dtypes: Any) -> CustomOp:
        """The operator."""
        return CustomOp()


def register(reg_name: str) -> Callable[[_Class], _Class]:
    """Class decorator: makes a `CustomOpProp` known to `nd.Custom` as `op_type=reg_name`."""

    def decorate(prop_cls: _Class) -> _Class:
        if not issubclass(prop_cls, CustomOpProp):
            raise ArgumentError('only subclasses of CustomOpProp can be registered', got=prop_cls.__name__)
        _REGISTERED[reg_name] = prop_cls
        return prop_cls

    return decorate


def get_all_registered_operators() -> list[str]:
    """The names of the operators that are registered."""
    return sorted(_REGISTERED)


class _Called(autograd.Function):
    """One call of an operator."""

    def __init__(self, prop: CustomOpProp, inputs: Sequence[NDArray], aux: Sequence[NDArray]):
        super().__init__()
        shapes, dtypes = [list(x.shape) for x in inputs], [x.dtype for x in inputs]
        found = prop.infer_shape(shapes)
        known, outputs = found[:2]
        for name, shape, x in zip(prop.list_arguments(), known, inputs, strict=True):
            if tuple(shape) != x.shape:
                raise ShapeError(f'input {name} has another shape', expected=tuple(shape), got=x.shape)
        self.outputs: Any = [*zip(outputs, prop.infer_type(dtypes)[1], strict=True)]
        self.operator: CustomOp = prop.create_operator(current_context(), shapes, dtypes)
        self.aux: list[NDArray] = list(aux)

    def forward(self, *inputs: Any) -> Any:
        """The outputs: an array or a list."""
        made = [ndarray.zeros(tuple(shape), dtype=dtype) for shape, dtype in self.outputs]
        self.operator.forward(autograd.is_training(), ['write'] * len(made), list(inputs), made, self.aux)
        self.save_for_backward(list(inputs), made)
        return made if len(made) > 1 else made[0]

    def backward(self, *output_grads: Any) -> Any:
        """The gradients of the inputs."""
        inputs, outputs = self.saved_tensors
        gradients = [x.zeros_like() for x in inputs]
        requests = ['write'] * len(gradients)
        self.operator.backward(requests, list(output_grads), inputs, outputs, gradients, self.aux)
        return gradients


def custom(*args: Any, op_type: str, name: str | None = None, **kwargs: Any) -> Any:
    """Calls an operator of one's own.

    Args:
        *args: inputs in their order, then auxiliary states.
        op_type: as it was registered.
        name: MXNet's; accepted.
        **kwargs: inputs by name; whatever else is given to the `CustomOpProp`, as strings.

    Raises:
        ArgumentError: for an unknown operator, or if there are not as many inputs as it has.
    """
    attributes = {key: str(value) for key, value in kwargs.items() if not isinstance(value, NDArray)}
    prop = _prop_of(op_type, attributes)
    names = [*prop.list_arguments(), *prop.list_auxiliary_states()]
    given = dict(zip(names, args, strict=False)) | {k: v for k, v in kwargs.items() if k not in attributes}
    if (list(given) != names and set(given) != set(names)) or len(args) > len(names):
        raise ArgumentError(f'{op_type} takes other inputs', expected=names, got=f'{len(args)} and {sorted(given)}')
    if not all(isinstance(x, NDArray) for x in given.values()):
        raise ArgumentError(f'{op_type} takes arrays', got=[type(x).__name__ for x in given.values()])
    count = len(prop.list_arguments())
    inputs, aux = [given[name] for name in names[:count]], [given[name] for name in names[count:]]
    call = _Called(prop, inputs, aux)
    if any(isinstance(x.value, jax.core.Tracer) for x in inputs):
        return _traced(call, inputs)
    return call(*inputs)


def _prop_of(op_type: str, attributes: Mapping[str, str]) -> CustomOpProp:
    """What an operator is, made anew with these attributes."""
    if op_type not in _REGISTERED:
        remedy = 'mx.operator.register(name); operators in C++ cannot be loaded: write them with jax.numpy or Pallas'
        raise ArgumentError(f'no operator is registered as {op_type!r}', got=sorted(_REGISTERED), remedy=remedy)
    return _REGISTERED[op_type](**attributes)


def _traced(call: _Called, inputs: Sequence[NDArray]) -> Any:
    """The operator inside a compiled program, with its own gradient."""

    def run(*arrays: jax.Array) -> list[jax.Array]:
        result = call.forward(*map(NDArray, arrays))
        return [y.value for y in (result if isinstance(result, list) else [result])]

    def forward(*arrays: jax.Array) -> Any:
        outputs = run(*arrays)
        return outputs, (arrays, outputs)

    def backward(kept: Any, cotangents: Any) -> Any:
        arrays, outputs = kept
        call.saved_tensors = ([NDArray(x) for x in arrays], [NDArray(y) for y in outputs])
        gradients = call.backward(*(NDArray(jnp.asarray(ct)) for ct in cotangents))
        exact = [not jnp.issubdtype(x.dtype, jnp.inexact) for x in arrays]
        zeros = [np.zeros(x.shape, jax.dtypes.float0) for x in arrays]
        return tuple(z if e else g.value for g, z, e in zip(gradients, zeros, exact, strict=True))

    function = jax.custom_vjp(run)
    function.defvjp(forward, backward)
    results = [inputs[0].like(Tracked(y)) for y in function(*(x.value for x in inputs))]
    return results if len(results) > 1 else results[0]


# In graphs.


class _CustomNode(Operator):
    """The entry of the table; what it is depends on the attribute `op_type`."""

    def parse(self, given: Mapping[str, Any], where: str = '') -> dict[str, Any]:
        """All attributes as strings, which the `CustomOpProp` is made of."""
        if 'op_type' not in given:
            raise ArgumentError(f'{where or self.name} lacks op_type', remedy='op_type=NAME, as it was registered')
        parsed = {name: str(value) for name, value in given.items() if not name.startswith('__')}
        if states := _prop(parsed).list_auxiliary_states():
            raise ArgumentError("an operator of one's own in a graph has no auxiliary states", got=states)
        return parsed

    def inputs_for(self, attributes: Mapping[str, Any], count: int = 0) -> tuple[str, ...]:
        """The names of the inputs."""
        return tuple(_prop(attributes).list_arguments())

    def outputs_for(self, attributes: Mapping[str, Any]) -> tuple[str, ...]:
        """The names of the outputs."""
        return tuple(_prop(attributes).list_outputs())

    def run(
        self, arrays: Sequence[Any], attributes: Mapping[str, Any], pass_: Pass = INFERENCE
    ) -> tuple[list[jax.Array], list[jax.Array]]:
        """The outputs, computed on the host; their gradient is the operator's own."""
        return list(_on_host(_prop(attributes), pass_.training)(*arrays)), []


def _prop(attributes: Mapping[str, Any]) -> CustomOpProp:
    return _prop_of(attributes['op_type'], {name: value for name, value in attributes.items() if name != 'op_type'})


def _shapes(attributes: Mapping[str, Any], shapes: Mapping[str, Any]) -> dict[str, Any]:
    """What `infer_shape` says of inputs, once the first is known."""
    prop = _prop(attributes)
    names = prop.list_arguments()
    if shapes.get(names[0]) is None or None in shapes[names[0]]:
        return {}
    found = prop.infer_shape([list(shapes.get(name) or ()) for name in names])[0]
    return {name: tuple(shape) for name, shape in zip(names, found, strict=True)}


def _on_host(prop: CustomOpProp, training: bool) -> Any:
    def invoked(arrays: Sequence[Any]) -> _Called:
        return _Called(prop, [NDArray(jnp.asarray(x)) for x in arrays], [])

    def outputs_on_host(*arrays: Any) -> tuple[np.ndarray, ...]:
        call = invoked(arrays)
        with autograd.train_mode() if training else autograd.predict_mode():
            made = call.forward(*(NDArray(jnp.asarray(x)) for x in arrays))
        return tuple(y.asnumpy() for y in (made if isinstance(made, list) else [made]))

    def gradients_on_host(arrays: Any, outputs: Any, cotangents: Any) -> tuple[np.ndarray, ...]:
        call = invoked(arrays)
        call.saved_tensors = [NDArray(jnp.asarray(x)) for x in arrays], [NDArray(jnp.asarray(y)) for y in outputs]
        return tuple(g.asnumpy() for g in call.backward(*(NDArray(jnp.asarray(c)) for c in cotangents)))

    def run(*arrays: jax.Array) -> tuple[jax.Array, ...]:
        shapes = prop.infer_shape([list(x.shape) for x in arrays])[1]
        dtypes = prop.infer_type([np.dtype(x.dtype) for x in arrays])[1]
        like = tuple(jax.ShapeDtypeStruct(tuple(shape), d) for shape, d in zip(shapes, dtypes, strict=True))
        return jax.pure_callback(outputs_on_host, like, *arrays)

    def forward(*arrays: jax.Array) -> Any:
        outputs = run(*arrays)
        return outputs, (arrays, outputs)

    def backward(kept: Any, cotangents: Any) -> Any:
        arrays, outputs = kept
        like = tuple(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in arrays)
        found = jax.pure_callback(gradients_on_host, like, arrays, outputs, cotangents)
        return tuple(
            g if jnp.issubdtype(x.dtype, jnp.inexact) else np.zeros(x.shape, jax.dtypes.float0)
            for g, x in zip(found, arrays, strict=True)
        )

    function = jax.custom_vjp(run)
    function.defvjp(forward, backward)
    return function


enter(
    _CustomNode(
        name='Custom',
        function=custom,
        inputs=(),
        may_be_missing=frozenset(),
        variadic=False,
        annotations={'op_type': str},
        defaults={},
        auxiliary=(),
        only_if={},
        output_names=lambda attributes: _prop(attributes).list_outputs(),
        visible=None,
        infer=_shapes,
        takes_pass=True,
    ),
    'Custom',
)


explain_calls(globals())
