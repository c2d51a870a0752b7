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
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from gluonjax.errors import ArgumentError, ShapeError
from gluonjax.mx import autograd, ndarray
from gluonjax.mx.array import NDArray
from gluonjax.mx.context import current_context
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
    if op_type not in _REGISTERED:
        remedy = 'mx.operator.register(name); operators in C++ cannot be loaded: write them with jax.numpy or Pallas'
        raise ArgumentError(f'no operator is registered as {op_type!r}', got=sorted(_REGISTERED), remedy=remedy)
    attributes = {key: str(value) for key, value in kwargs.items() if not isinstance(value, NDArray)}
    prop = _REGISTERED[op_type](**attributes)
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
