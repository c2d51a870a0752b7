"""Recurrent cells: what one step computes, and how it is unrolled over a sequence."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from gluonjax import checks
from gluonjax.errors import ArgumentError, BareLayerError, ShapeError
from gluonjax.layer import Layer
from gluonjax.nn import activation as activations
from gluonjax.param import Param
from gluonjax.rnn import steps
from gluonjax.rnn.steps import States


class Stateful:
    """What has states: cells, and the layers that run over whole sequences."""

    __slots__ = ()

    def state_info(self, batch_size: int = 0) -> list[dict[str, Any]]:
        """For each state a dict with its 'shape' and '__layout__'."""
        raise NotImplementedError(f'{type(self).__name__} has no state_info(self, batch_size)')

    def begin_state(self, batch_size: int = 0, func=jnp.zeros, **kwargs) -> States:
        """The states before the first step.

        Args:
            batch_size: the number of sequences.
            func: makes a state of `shape=` and `dtype=`.
            **kwargs: more for `func`, or another dtype.
        """
        infos = self.state_info(batch_size)
        return [func(**{'shape': info['shape'], 'dtype': info.get('dtype', 'float32'), **kwargs}) for info in infos]


class Steps(Stateful):
    """What every cell can do. A cell has `state_info(batch_size)` and `forward(inputs, states) -> output, states`.

    A cell of your own is a `RecurrentCell` with these two. Beyond them a cell may override `step`, to keep things from
    step to step that are no states, and `sequence`, to run over a whole sequence in a way of its own.
    """

    __slots__ = ()

    def reset(self) -> None:
        """Does nothing, as Gluon programs call it before each sequence: a cell keeps nothing from one to the next."""

    def step(self, inputs, states: States, memory=None) -> tuple[jax.Array, States, Any]:
        """In `forward`: one step of a sequence.

        Args:
            inputs: (N, ...).
            states: as from `begin_state`.
            memory: what the cell's last step in this sequence returned as such; None at the first step.
        """
        output, states = self(inputs, states)  # pyright: ignore[reportCallIssue]
        return output, states, ()

    def sequence(self, inputs, states: States, valid_length=None) -> tuple[jax.Array, States]:
        """In `forward`: all steps of a sequence. The first step makes the memory that a scan of the others carries.

        Args:
            inputs: (T, N, ...).
            states: as from `begin_state`.
            valid_length: (N,): beyond it outputs are 0, and states are those of the last valid step.
        """
        body = steps.in_a_row(self.step, valid_length)
        carry, first = body((states, None), (0, inputs[0]))
        outputs = first[None]
        if len(inputs) > 1:
            rest = (jnp.arange(1, len(inputs)), inputs[1:])
            carry, others = self.scan(body, carry, rest)  # pyright: ignore[reportAttributeAccessIssue]
            outputs = jnp.concatenate([outputs, others])
        return outputs, carry[0]

    def merges(self, merged: bool, masked: bool) -> bool:
        """Whether `unroll` returns one array where its caller does not say.

        Args:
            merged: whether the input is one array.
            masked: whether there are valid lengths.
        """
        return masked

    def unroll(self, length, inputs, begin_state=None, layout='NTC', merge_outputs=None, valid_length=None):
        """In `forward`: runs over the steps of a sequence, in one `lax.scan`.

        Args:
            length: the number of steps; None takes the input's.
            inputs: one array in `layout`, or a list of the steps, each (N, ...).
            begin_state: the first states, zeros without them.
            layout: where steps (T) and batch (N) are in the input and in merged outputs: 'NTC' or 'TNC'.
            merge_outputs: True returns one array, False a list; None a list, or an array where there are valid lengths
                (and from cells that only drop out, as MXNet does).
            valid_length: (N,), the lengths of the sequences. Outputs beyond are 0; the states are those of the last
                valid step.

        Returns:
            The outputs, and the list of the last states.

        Raises:
            BareLayerError: outside `forward`; `Unroll` makes a network of a cell.
            ShapeError: for another number of steps than `length`, or states or lengths of wrong shapes.
            ArgumentError: for an unknown layout.
        """
        if not hasattr(self, '_run'):
            raise BareLayerError(
                f'{type(self).__name__} holds no values, so it cannot be unrolled outside of forward',
                remedy='net = nn.Sequential(rnn.Unroll(cell)); net.initialize(); net(x) -- or unroll the cell in the '
                'forward of an nn.Block that holds it',
            )
        axis, whole = _time_axis(layout), hasattr(inputs, 'shape')
        xs = jnp.moveaxis(inputs, axis, 0) if whole else jnp.stack([jnp.asarray(step) for step in inputs])
        if length not in (None, len(xs)) or not len(xs):
            raise ShapeError(
                'the sequence has another number of steps',
                expected='one step or more' if length is None else f'{length} (unroll(length, ...))',
                got=f'{len(xs)} (axis {axis} of {inputs.shape}, layout {layout})' if whole else f'a list of {len(xs)}',
            )
        batch, lengths = xs.shape[1], steps.checked_length(valid_length, xs.shape[1])
        if begin_state is None:
            dtype = {'dtype': xs.dtype} if jnp.issubdtype(xs.dtype, jnp.floating) else {}
            begin_state = self.begin_state(batch_size=batch, **dtype)
        states = steps.checked_states(begin_state, self.state_info(batch))
        outputs, states = self.sequence(xs, states, lengths)
        if merge_outputs is None:
            merge_outputs = self.merges(whole, lengths is not None)
        return jnp.moveaxis(outputs, 0, axis) if merge_outputs else list(outputs), states


def _time_axis(layout: str) -> int:
    if layout.replace('T', '', 1)[:1] != 'N' or layout.count('T') != 1:
        raise ArgumentError('the layout is unknown', expected="'NTC' or 'TNC'", got=repr(layout))
    return layout.index('T')


class RecurrentCell(Steps, Layer):
    """The base of cells. `HybridRecurrentCell` is another name of it.

    >>> class Sum(RecurrentCell):
    ...     def state_info(self, batch_size=0):
    ...         return [{'shape': (batch_size, 1), '__layout__': 'NC'}]
    ...     def forward(self, inputs, states):
    ...         total = states[0] + inputs
    ...         return total, [total]
    >>> Unroll(Sum()).apply({}, jnp.ones((1, 4, 1)))[0, :, 0]
    Array([1., 2., 3., 4.], dtype=float32)
    """


class Unroll(Stateful, Layer):
    """A cell as a network: runs over a sequence whose length the input says.

    The output is that of `cell.unroll` as one array. Given states too, it is the outputs and the last states.

    Args:
        cell: a cell.
        layout: where steps (T) and batch (N) are in input and output: 'NTC' or 'TNC'.

    >>> from gluonjax import nn, rnn
    >>> net = nn.Sequential(rnn.Unroll(rnn.LSTMCell(100)))
    >>> net.initialize()
    >>> net(jnp.ones((2, 5, 20))).shape
    (2, 5, 100)
    >>> outputs, states = net(jnp.ones((2, 5, 20)), net[0].begin_state(2))
    """

    def __init__(self, cell, layout='NTC'):
        _time_axis(layout)
        self.cell, self.layout = checked_cell(cell), layout

    def state_info(self, batch_size=0):
        return info_of(self.cell, batch_size)

    def forward(self, inputs, states=None, valid_length=None):
        outputs, new = self.cell.unroll(None, inputs, states, self.layout, True, valid_length)
        return outputs if states is None else (outputs, new)


def checked_cell(cell) -> Any:
    """Something that can be unrolled."""
    if not issubclass(_class_of(cell), Steps):
        raise ArgumentError('this is no cell', expected='a RecurrentCell, such as rnn.LSTMCell(100)', got=repr(cell))
    return cell


def info_of(cell, batch_size: int) -> list[dict[str, Any]]:
    """`cell.state_info(batch_size)`, of a network's definition too, whose methods are in the network's class."""
    return _class_of(cell).state_info(cell, batch_size)


def _class_of(cell) -> type:
    return getattr(cell, '_class', type(cell))


class GatedCell(RecurrentCell):
    """A cell of two products, one of the input and one of the state, and the equations of a step.

    A subclass says how many gates and states there are, the `product`, and the `equations` in terms of its results. The
    product of the inputs is computed for all steps at once.
    """

    gates: ClassVar[int]
    count: ClassVar[int] = 1  # of states

    i2h_weight: Any
    h2h_weight: Any
    i2h_bias: Any
    h2h_bias: Any

    def product(self, which: str, x, weight, bias):
        """Of the input ('i2h') or of the state ('h2h')."""
        raise NotImplementedError

    def equations(self, i2h, h2h, states: States) -> States:
        """The new states, first the one that is the output."""
        raise NotImplementedError

    def advance(self, i2h, states: States) -> States:
        """One step, from the product of the input on."""
        return self.equations(i2h, self.product('h2h', states[0], self.h2h_weight, self.h2h_bias), states)

    def inputs_product(self, x):
        """Of the input of one step, or with one axis more of a sequence."""
        checks.floating(x)
        return self.product('i2h', x, self.i2h_weight, self.i2h_bias)

    def forward(self, inputs, states):
        checks.rank(inputs, len(self.state_info()[0]['shape']), 'a step of a sequence')
        states = steps.checked_states(states, self.state_info(len(inputs)))
        states = self.advance(self.inputs_product(inputs), states)
        return states[0], states

    def sequence(self, inputs, states, valid_length=None):
        return self._run.call(self, self.whole, (inputs, states, valid_length), {})

    def whole(self, inputs, states, valid_length):
        """`sequence`, called as `forward` is: shapes are completed before, and errors say where they are."""
        checks.rank(inputs, 1 + len(self.state_info()[0]['shape']), 'a sequence')
        i2h, _, _, *states = checks.promoted(self.inputs_product(inputs), self.h2h_weight, self.h2h_bias, *states)
        return steps.run(self.scan, self.advance, i2h, states, valid_length)


class DenseCell(GatedCell):
    """A cell whose products are those of matrices."""

    h2r_weight: Any  # if there is a projection

    def _declare(self, hidden_size, input_size, output_size=None, **initializers):
        self.hidden_size = checks.size('hidden_size', hidden_size)
        self.input_size = checks.optional_size('input_size', input_size)
        shapes = steps.shapes(self.gates, self.hidden_size, self.input_size, output_size or self.hidden_size)
        for name, initializer in initializers.items():
            setattr(self, name, Param(shapes[name], init=initializer))

    def state_info(self, batch_size=0):
        return [{'shape': (batch_size, self.hidden_size), '__layout__': 'NC'} for _ in range(self.count)]

    def infer_shape(self, inputs, states, valid_length=None):
        if inputs.ndim < 2:
            checks.rank(inputs, 2, 'NC')
        return {'i2h_weight': (self.gates * self.hidden_size, inputs.shape[-1])}

    def product(self, which, x, weight, bias):
        x, weight, bias = checks.promoted(x, weight, bias)
        return x @ weight.T + jnp.expand_dims(bias, range(x.ndim - 1))


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
        ShapeError: in a run, if inputs or states have wrong shapes.

    >>> cell = RNNCell(3, input_size=2)
    >>> output, states = cell.apply(cell.init(0), jnp.ones((4, 2)), cell.begin_state(4))
    >>> output.shape
    (4, 3)
    """

    gates = 1

    def __init__(
        self,
        hidden_size,
        activation='tanh',
        i2h_weight_initializer=None,
        h2h_weight_initializer=None,
        i2h_bias_initializer='zeros',
        h2h_bias_initializer='zeros',
        input_size=None,
    ):
        activations.function(activation)
        self.activation = activation
        self._declare(
            hidden_size,
            input_size,
            i2h_weight=i2h_weight_initializer,
            h2h_weight=h2h_weight_initializer,
            i2h_bias=i2h_bias_initializer,
            h2h_bias=h2h_bias_initializer,
        )

    def equations(self, i2h, h2h, states):
        return steps.rnn(i2h + h2h, activations.function(self.activation))


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

    gates, count = 4, 2

    def __init__(
        self,
        hidden_size,
        i2h_weight_initializer=None,
        h2h_weight_initializer=None,
        i2h_bias_initializer='zeros',
        h2h_bias_initializer='zeros',
        input_size=None,
        activation='tanh',
        recurrent_activation='sigmoid',
    ):
        activations.function(activation)
        activations.function(recurrent_activation)
        self.activation, self.recurrent_activation = activation, recurrent_activation
        self._declare(
            hidden_size,
            input_size,
            i2h_weight=i2h_weight_initializer,
            h2h_weight=h2h_weight_initializer,
            i2h_bias=i2h_bias_initializer,
            h2h_bias=h2h_bias_initializer,
        )

    def equations(self, i2h, h2h, states):
        functions = activations.function(self.activation), activations.function(self.recurrent_activation)
        return steps.lstm(i2h + h2h, states, *functions)


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
        hidden_size,
        i2h_weight_initializer=None,
        h2h_weight_initializer=None,
        i2h_bias_initializer='zeros',
        h2h_bias_initializer='zeros',
        input_size=None,
    ):
        self._declare(
            hidden_size,
            input_size,
            i2h_weight=i2h_weight_initializer,
            h2h_weight=h2h_weight_initializer,
            i2h_bias=i2h_bias_initializer,
            h2h_bias=h2h_bias_initializer,
        )

    def equations(self, i2h, h2h, states):
        return steps.gru(i2h, h2h, states)


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

    gates, count = 4, 2

    def __init__(
        self,
        hidden_size,
        projection_size,
        i2h_weight_initializer=None,
        h2h_weight_initializer=None,
        h2r_weight_initializer=None,
        i2h_bias_initializer='zeros',
        h2h_bias_initializer='zeros',
        input_size=None,
    ):
        self.projection_size = checks.size('projection_size', projection_size)
        self._declare(
            hidden_size,
            input_size,
            self.projection_size,
            i2h_weight=i2h_weight_initializer,
            h2h_weight=h2h_weight_initializer,
            h2r_weight=h2r_weight_initializer,
            i2h_bias=i2h_bias_initializer,
            h2h_bias=h2h_bias_initializer,
        )

    def state_info(self, batch_size=0):
        sizes = self.projection_size, self.hidden_size
        return [{'shape': (batch_size, size), '__layout__': 'NC'} for size in sizes]

    def equations(self, i2h, h2h, states):
        h, c = steps.lstm(i2h + h2h, states)
        return [steps.projected(h, self.h2r_weight), c]


HybridRecurrentCell = RecurrentCell
