"""Recurrent cells of dense products: RNN, LSTM, GRU, and LSTM with a projection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import jax

from gluonjax import checks
from gluonjax.init.initializer import InitializerLike
from gluonjax.nn import activation as activations
from gluonjax.nn import arguments
from gluonjax.nn.activation import ActivationLike
from gluonjax.nn.precision import add_bias
from gluonjax.param import Param
from gluonjax.rnn import equations
from gluonjax.rnn.cell import RecurrentCell
from gluonjax.rnn.scan import scan_steps, zero_invalid
from gluonjax.rnn.states import checked_states
from gluonjax.run import run_of
from gluonjax.shapes import Shape


class GatedCell(RecurrentCell):
    """A cell of two products, one of the input and one of the state, and the equations of a step.

    A subclass says how many gates and states there are, the `product`, and the `equations` in terms of its results. The
    product of the inputs is computed for all steps at once.
    """

    gates: ClassVar[int]
    count: ClassVar[int] = 1  # of states

    i2h_weight: jax.Array
    h2h_weight: jax.Array
    i2h_bias: jax.Array
    h2h_bias: jax.Array

    def product(self, which: str, x: jax.Array, weight: jax.Array, bias: jax.Array) -> jax.Array:
        """Of the input ('i2h') or of the state ('h2h')."""
        raise NotImplementedError

    def equations(
        self, i2h: jax.Array, h2h: jax.Array, states: Sequence[jax.Array], *rest: jax.Array
    ) -> list[jax.Array]:
        """The new states, first the one that is the output; `rest` is what else `step_parameters` has."""
        raise NotImplementedError

    def step_parameters(self) -> list[jax.Array]:
        """What each step reads: weight and bias of the state's product, and more if the equations need it."""
        return [self.h2h_weight, self.h2h_bias]

    def advance(self, i2h: jax.Array, states: Sequence[jax.Array], parameters: Sequence[jax.Array]) -> list[jax.Array]:
        """One step, from the product of the input on."""
        weight, bias, *rest = parameters
        return self.equations(i2h, self.product('h2h', states[0], weight, bias), states, *rest)

    def inputs_product(self, x: jax.Array) -> jax.Array:
        """Of the input of one step, or with one axis more of a sequence."""
        checks.floating(x)
        return self.product('i2h', x, self.i2h_weight, self.i2h_bias)

    def forward(self, inputs: jax.Array, states: Sequence[jax.Array] | jax.Array) -> tuple[jax.Array, list[jax.Array]]:
        arguments.rank(inputs, len(self.state_info()[0]['shape']), 'a step of a sequence')
        before = checked_states(states, self.state_info(inputs.shape[0]))
        after = self.advance(self.inputs_product(inputs), before, self.step_parameters())
        return after[0], after

    def sequence(
        self, inputs: jax.Array, states: Sequence[jax.Array], valid_length: jax.Array | None = None
    ) -> tuple[jax.Array, list[jax.Array]]:
        return run_of(self, 'sequence()').call(self, self.whole, (inputs, states, valid_length), {})

    def whole(
        self, inputs: jax.Array, states: Sequence[jax.Array], valid_length: jax.Array | None
    ) -> tuple[jax.Array, list[jax.Array]]:
        """`sequence`, called as `forward` is: shapes are inferred before, and errors say where they are."""
        arguments.rank(inputs, 1 + len(self.state_info()[0]['shape']), 'a sequence')
        product, parameters = self.inputs_product(zero_invalid(inputs, valid_length)), self.step_parameters()
        i2h, *rest = checks.promoted(product, *parameters, *states)
        wide = [array.astype(checks.at_least_float32(array.dtype)) for array in parameters]

        def step(i2h: jax.Array, states: Sequence[jax.Array]) -> list[jax.Array]:
            narrow = [array.astype(like.dtype) for array, like in zip(wide, parameters, strict=True)]
            return self.advance(i2h, states, narrow)  # the scan sums the gradients of `wide`

        return scan_steps(self.scan, step, i2h, rest[len(parameters) :], valid_length)


class DenseCell(GatedCell):
    """A cell whose products are those of matrices."""

    hidden_size: int
    input_size: int | None

    def declare(
        self,
        hidden_size: int,
        input_size: int | None,
        output_size: int | None = None,
        **initializers: InitializerLike | None,
    ) -> None:
        """Declares the parameters that these initializers name."""
        self.hidden_size = checks.size('hidden_size', hidden_size)
        self.input_size = checks.optional_size('input_size', input_size)
        shapes = equations.parameter_shapes(
            self.gates, self.hidden_size, self.input_size, output_size or self.hidden_size
        )
        for name, initializer in initializers.items():
            setattr(self, name, Param(shapes[name], init=initializer))

    def state_info(self, batch_size: int = 0) -> list[dict[str, Any]]:
        return [{'shape': (batch_size, self.hidden_size), '__layout__': 'NC'} for _ in range(self.count)]

    def infer_shape(self, inputs: jax.Array, states: Any, valid_length: jax.Array | None = None) -> dict[str, Shape]:
        if inputs.ndim < 2:
            arguments.rank(inputs, 2, 'NC')
        return {'i2h_weight': (self.gates * self.hidden_size, inputs.shape[-1])}

    def product(self, which: str, x: jax.Array, weight: jax.Array, bias: jax.Array) -> jax.Array:
        x, weight, bias = checks.promoted(x, weight, bias)
        return add_bias(x @ weight.T, bias)


class RNNCell(DenseCell):
    """Elman's cell: `h' = activation(W_ih x + b_ih + W_hh h + b_hh)`.

    `cell(inputs, states)`, inputs (N, C) and one state (N, hidden_size), gives the output, which is the new state, and
    the list of the new state.

    Args:
        hidden_size: the size of output and state.
        activation: a name or a function; see `nn.Activation`.
        i2h_weight_initializer: of i2h_weight, shape (hidden_size, input_size).
        h2h_weight_initializer: of h2h_weight, shape (hidden_size, hidden_size).
        i2h_bias_initializer: of i2h_bias, shape (hidden_size,).
        h2h_bias_initializer: of h2h_bias, shape (hidden_size,).
        input_size: the size of the input; None (or 0) lets the first input decide.

    Raises:
        ShapeError: when called, if inputs or states have wrong shapes.

    >>> import jax.numpy as jnp
    >>> cell = RNNCell(3, input_size=2)
    >>> output, states = cell.apply(cell.init(0), jnp.ones((4, 2)), cell.begin_state(4))
    >>> output.shape
    (4, 3)
    """

    gates = 1
    activation: ActivationLike

    def __init__(
        self,
        hidden_size: int,
        activation: ActivationLike = 'tanh',
        i2h_weight_initializer: InitializerLike | None = None,
        h2h_weight_initializer: InitializerLike | None = None,
        i2h_bias_initializer: InitializerLike | None = 'zeros',
        h2h_bias_initializer: InitializerLike | None = 'zeros',
        input_size: int | None = None,
    ):
        activations.function(activation)
        self.activation = activation
        self.declare(
            hidden_size,
            input_size,
            i2h_weight=i2h_weight_initializer,
            h2h_weight=h2h_weight_initializer,
            i2h_bias=i2h_bias_initializer,
            h2h_bias=h2h_bias_initializer,
        )

    def equations(
        self, i2h: jax.Array, h2h: jax.Array, states: Sequence[jax.Array], *rest: jax.Array
    ) -> list[jax.Array]:
        return equations.elman(i2h + h2h, activations.function(self.activation))


class LSTMCell(DenseCell):
    """Long short-term memory: `c' = f c + i g`, `h' = o activation(c')`. Gates in the order i, f, g, o.

    `cell(inputs, states)`, inputs (N, C) and states [h, c], both (N, hidden_size), gives the output h' and [h', c'].

    Args:
        hidden_size: the size of output and states.
        i2h_weight_initializer: of i2h_weight, shape (4 * hidden_size, input_size).
        h2h_weight_initializer: of h2h_weight, shape (4 * hidden_size, hidden_size).
        i2h_bias_initializer: of i2h_bias, shape (4 * hidden_size,).
        h2h_bias_initializer: of h2h_bias, shape (4 * hidden_size,).
        input_size: the size of the input; None (or 0) lets the first input decide.
        activation: of g and c'; a name or a function.
        recurrent_activation: of i, f and o.

    >>> LSTMCell(3).state_info(2)[1]
    {'shape': (2, 3), '__layout__': 'NC'}
    """

    gates = 4
    count = 2
    activation: ActivationLike
    recurrent_activation: ActivationLike

    def __init__(
        self,
        hidden_size: int,
        i2h_weight_initializer: InitializerLike | None = None,
        h2h_weight_initializer: InitializerLike | None = None,
        i2h_bias_initializer: InitializerLike | None = 'zeros',
        h2h_bias_initializer: InitializerLike | None = 'zeros',
        input_size: int | None = None,
        activation: ActivationLike = 'tanh',
        recurrent_activation: ActivationLike = 'sigmoid',
    ):
        activations.function(activation)
        activations.function(recurrent_activation)
        self.activation, self.recurrent_activation = activation, recurrent_activation
        self.declare(
            hidden_size,
            input_size,
            i2h_weight=i2h_weight_initializer,
            h2h_weight=h2h_weight_initializer,
            i2h_bias=i2h_bias_initializer,
            h2h_bias=h2h_bias_initializer,
        )

    def equations(
        self, i2h: jax.Array, h2h: jax.Array, states: Sequence[jax.Array], *rest: jax.Array
    ) -> list[jax.Array]:
        functions = activations.function(self.activation), activations.function(self.recurrent_activation)
        return equations.lstm(i2h + h2h, states, *functions)


class GRUCell(DenseCell):
    """Gated recurrent unit, with the reset gate applied after the product, as cuDNN has it.

    `n = tanh(i2h_n + r h2h_n)`, `h' = (1 - z) n + z h`; gates in the order r, z, n. Inputs (N, C), one state
    (N, hidden_size).

    Args:
        hidden_size: the size of output and state.
        i2h_weight_initializer: of i2h_weight, shape (3 * hidden_size, input_size).
        h2h_weight_initializer: of h2h_weight, shape (3 * hidden_size, hidden_size).
        i2h_bias_initializer: of i2h_bias, shape (3 * hidden_size,).
        h2h_bias_initializer: of h2h_bias, shape (3 * hidden_size,).
        input_size: the size of the input; None (or 0) lets the first input decide.

    >>> GRUCell(3).begin_state(1)
    [Array([[0., 0., 0.]], dtype=float32)]
    """

    gates = 3

    def __init__(
        self,
        hidden_size: int,
        i2h_weight_initializer: InitializerLike | None = None,
        h2h_weight_initializer: InitializerLike | None = None,
        i2h_bias_initializer: InitializerLike | None = 'zeros',
        h2h_bias_initializer: InitializerLike | None = 'zeros',
        input_size: int | None = None,
    ):
        self.declare(
            hidden_size,
            input_size,
            i2h_weight=i2h_weight_initializer,
            h2h_weight=h2h_weight_initializer,
            i2h_bias=i2h_bias_initializer,
            h2h_bias=h2h_bias_initializer,
        )

    def equations(
        self, i2h: jax.Array, h2h: jax.Array, states: Sequence[jax.Array], *rest: jax.Array
    ) -> list[jax.Array]:
        return equations.gru(i2h, h2h, states)


class LSTMPCell(DenseCell):
    """LSTM with a projection of its output: `r' = W_hr (o tanh(c'))` (Sak et al., 2014). Gates i, f, g, o.

    Inputs (N, C), states [r, c] of shapes (N, projection_size) and (N, hidden_size); the output is r'.

    Args:
        hidden_size: the size of c.
        projection_size: the size of output and r.
        i2h_weight_initializer: of i2h_weight, shape (4 * hidden_size, input_size).
        h2h_weight_initializer: of h2h_weight, shape (4 * hidden_size, projection_size).
        h2r_weight_initializer: of h2r_weight, shape (projection_size, hidden_size).
        i2h_bias_initializer: of i2h_bias, shape (4 * hidden_size,).
        h2h_bias_initializer: of h2h_bias, shape (4 * hidden_size,).
        input_size: the size of the input; None (or 0) lets the first input decide.

    >>> [info['shape'] for info in LSTMPCell(5, 3).state_info(2)]
    [(2, 3), (2, 5)]
    """

    gates = 4
    count = 2
    projection_size: int
    h2r_weight: jax.Array

    def __init__(
        self,
        hidden_size: int,
        projection_size: int,
        i2h_weight_initializer: InitializerLike | None = None,
        h2h_weight_initializer: InitializerLike | None = None,
        h2r_weight_initializer: InitializerLike | None = None,
        i2h_bias_initializer: InitializerLike | None = 'zeros',
        h2h_bias_initializer: InitializerLike | None = 'zeros',
        input_size: int | None = None,
    ):
        self.projection_size = checks.size('projection_size', projection_size)
        self.declare(
            hidden_size,
            input_size,
            self.projection_size,
            i2h_weight=i2h_weight_initializer,
            h2h_weight=h2h_weight_initializer,
            h2r_weight=h2r_weight_initializer,
            i2h_bias=i2h_bias_initializer,
            h2h_bias=h2h_bias_initializer,
        )

    def state_info(self, batch_size: int = 0) -> list[dict[str, Any]]:
        sizes = self.projection_size, self.hidden_size
        return [{'shape': (batch_size, size), '__layout__': 'NC'} for size in sizes]

    def equations(
        self, i2h: jax.Array, h2h: jax.Array, states: Sequence[jax.Array], *rest: jax.Array
    ) -> list[jax.Array]:
        h, c = equations.lstm(i2h + h2h, states)
        return [equations.projected(h, *rest), c]

    def step_parameters(self) -> list[jax.Array]:
        return [*super().step_parameters(), self.h2r_weight]
