"""Shapes and dtypes of a graph, from what is known of its variables; forward, and backward where operators say how."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gluonjax.errors import ArgumentError, GluonError, ShapeError
from gluonjax.mx.evaluate import functions_of
from gluonjax.mx.graph import DTYPE_CODES, Entry, Node, auxiliary_of, ordered
from gluonjax.mx.op import Pass
from gluonjax.mx.op.attributes import Shape, dtype_of, parse
from gluonjax.mx.op.control import subgraph_inputs
from gluonjax.shapes import is_known, merge_shapes, shape_text

_MAKERS = ('_zeros', '_ones', '_full', '_zeros_without_dtype')  # a size of 0 is decided by what uses them


def declared_shape(node: Node, np_shape: bool = False) -> Any:
    """The shape that a variable declares; unknown sizes are None, and so is a shape that is not declared."""
    text = node.attributes.get('__shape__')
    if text is None:
        return None
    sizes = parse(node.name, '__shape__', Shape, text)
    return tuple(None if size < 0 or (size == 0 and not np_shape) else size for size in sizes) or None


def declared_dtype(node: Node) -> Any:
    """The dtype that a variable declares, by MXNet's number or its name; None if it declares none.

    Raises:
        ArgumentError: if there is no such dtype.
    """
    text = node.attributes.get('__dtype__')
    if text is None or text == '-1':
        return None
    try:
        return np.dtype(DTYPE_CODES[int(text)] if text.isdigit() else text)
    except (TypeError, LookupError, SyntaxError):  # the last of NumPy
        raise ArgumentError(f'the variable {node.name!r} has no dtype of MXNet', got=text) from None


class Inference:
    """What is known of every output of every node; more after each pass.

    Args:
        heads: the outputs of the graph.
        shapes: of variables by name; None where unknown, as a size or as a whole.
        dtypes: of variables by name.
        np_shape: whether a size of 0 is a size, as in NumPy; in MXNet without it is unknown.
    """

    def __init__(
        self,
        heads: Sequence[Entry],
        shapes: Mapping[str, Any],
        dtypes: Mapping[str, Any] | None = None,
        np_shape: bool = False,
    ):
        self.nodes: list[Node] = ordered(heads)
        self.shapes: dict[Node, list[Any]] = {}
        self.dtypes: dict[Node, list[Any]] = {}
        given = dtypes or {}
        for node in self.nodes:
            self._check(node.inputs, f'{node.name!r} takes')
            count = len(node.output_names)
            self.shapes[node], self.dtypes[node] = [None] * count, [None] * count
            if node.is_variable:
                declared = declared_shape(node, np_shape)
                said = shapes.get(node.name)
                if said is None or not is_known(said):  # otherwise it stands for what the variable declares
                    self._learn(Entry(node), declared)
                self._learn(Entry(node), said)
                self.dtypes[node][0] = given.get(node.name, declared_dtype(node))
            elif node.op in _MAKERS and not np_shape:
                self.shapes[node][0] = tuple(size or None for size in node.parsed['shape']) or None
        self._check(heads, 'the graph returns')
        while self._forward() | self._backward():
            pass

    def _check(self, entries: Sequence[Entry], who: str) -> None:
        """Refuses outputs that a node does not have."""
        for node, index in entries:
            if index >= len(self.shapes[node]):
                what = f'{who} an output of {node.name!r} that there is not'
                raise ArgumentError(what, expected=f'an index below {len(self.shapes[node])}', got=index)

    def unknown(self) -> list[Node]:
        """The variables whose shape is not known."""
        return [node for node in self.nodes if node.is_variable and not is_known(self.shapes[node][0])]

    def of(self, heads: Sequence[Entry]) -> list[Any]:
        """The shapes of outputs."""
        return [self.shapes[entry.node][entry.index] for entry in heads]

    def _learn(self, entry: Entry, shape: Any) -> bool:
        """Adds what is known of an output; says whether it was new."""
        old = self.shapes[entry.node][entry.index]
        new = merge_shapes(old, None if shape is None else tuple(shape))
        if new is None and old is not None and shape is not None:
            raise ShapeError(
                f'{entry.node.name!r} would need two shapes', expected=shape_text(old), got=shape_text(tuple(shape))
            )
        self.shapes[entry.node][entry.index] = new
        return new != old

    def _forward(self) -> bool:
        learnt = [self._infer(node, self._infer_inputs, self._infer_outputs) for node in self.nodes]
        return any(learnt)

    def _backward(self) -> bool:
        learnt = [self._infer(node, self._infer_inputs) for node in reversed(self.nodes)]
        return any(learnt)

    def _infer(self, node: Node, *steps: Callable[[Node], bool]) -> bool:
        """Whether one of the steps learns something of a node that is an operator."""
        try:
            learnt = [] if node.is_variable else [step(node) for step in steps]
            return any(learnt)
        except (TypeError, ValueError, LookupError, ArithmeticError, SyntaxError) as error:
            if isinstance(error, GluonError) or node.op == 'Custom':  # which is the user's
                raise
            what = f'{node.described} does not take its inputs and attributes'
            raise ShapeError(what, got=f'{type(error).__name__}: {error}') from error

    def _infer_inputs(self, node: Node) -> bool:
        rule = node.operator.infer
        if node.subgraphs:
            return self._infer_inside(node)
        if rule is None:
            return False
        inputs = dict(zip(node.input_names, node.inputs, strict=False))
        outputs = {name: Entry(node, i) for i, name in enumerate(node.operator.outputs_for(node.parsed))}
        entries = {**outputs, **inputs}
        known = {name: self.shapes[entry.node][entry.index] for name, entry in entries.items()}
        if all(is_known(shape) for shape in known.values()):
            return False
        try:
            found = rule(node.parsed, known)
            learnt = [self._learn(entries[name], shape) for name, shape in found.items() if name in entries]
        except ShapeError as error:
            error.locate(f'in {node.described}')
            raise
        except (TypeError, ValueError, IndexError) as error:
            got = ', '.join(f'{name} {shape_text(known[name])}' for name in inputs if known[name] is not None)
            raise ShapeError(f'{node.described} does not take inputs of these shapes', got=got) from error
        return any(learnt)

    def _infer_inside(self, node: Node) -> bool:
        """What the graphs inside a node of control flow say of its inputs, as of the parameters of a step."""
        changed = False
        for heads, inputs in zip(
            node.subgraphs, subgraph_inputs(str(node.op), node.parsed, len(node.inputs)), strict=True
        ):
            variables = [variable for variable in ordered(heads) if variable.is_variable]
            outer = [self.shapes[node.inputs[i].node][node.inputs[i].index] for i, _ in inputs]
            if all(map(is_known, outer)):
                continue
            known = {
                variable.name: shape[1:] if is_slice and shape is not None else shape
                for variable, shape, (_, is_slice) in zip(variables, outer, inputs, strict=True)
            }
            inside = Inference(heads, known)
            for variable, (i, is_slice) in zip(variables, inputs, strict=True):
                found = inside.shapes[variable][0]
                if found is not None and not is_slice:
                    changed |= self._learn(node.inputs[i], found)
        return changed

    def _infer_outputs(self, node: Node) -> bool:
        inputs = [self.shapes[entry.node][entry.index] for entry in node.inputs]
        known = self.shapes[node]
        done = all(is_known(shape) for shape in known) and None not in self.dtypes[node]
        if done or not all(is_known(shape) for shape in inputs) or (node.op in _MAKERS and not is_known(known[0])):
            return False
        arrays = [
            jax.ShapeDtypeStruct(shape, self._dtype(node, entry))
            for shape, entry in zip(inputs, node.inputs, strict=True)
        ]
        outputs = self._evaluated(node, arrays)
        self.dtypes[node] = [np.dtype(output.dtype) for output in outputs]
        learnt = [self._learn(Entry(node, i), output.shape) for i, output in enumerate(outputs)]
        return any(learnt)

    def _dtype(self, node: Node, entry: Entry) -> Any:
        """Of an input; a parameter without one has that of the first input, or float32."""
        dtype = self.dtypes[entry.node][entry.index]
        if dtype is None:
            first = self.dtypes[node.inputs[0].node][node.inputs[0].index]
            follows = first is not None and jnp.issubdtype(first, jnp.floating) and not node.operator.auxiliary
            dtype = self.dtypes[entry.node][entry.index] = np.dtype(first if follows else 'float32')
        return dtype_of(dtype.name)

    def _evaluated(self, node: Node, arrays: Sequence[Any]) -> list[Any]:
        from_shapes = tuple(self.shapes[node]) if is_known(self.shapes[node][0]) else ()

        def key() -> jax.Array:
            return jax.random.key(0)

        def run(arrays: Sequence[Any]) -> list[jax.Array]:
            pass_ = Pass(False, key, from_shapes, functions_of(node, False, key))
            return node.operator.run(arrays, node.parsed, pass_)[0]

        try:
            return jax.eval_shape(run, arrays)
        except Exception as error:
            place = f'in {node.described}, inputs {", ".join(str(array.shape) for array in arrays)}'
            if isinstance(error, GluonError):
                error.locate(place)
            elif type(error) in (TypeError, ValueError, IndexError):  # of JAX, which knows nothing of nodes
                what = f'{node.described} does not take these inputs: {str(error).splitlines()[0]}'
                raise ShapeError(what, got=', '.join(str(array.shape) for array in arrays)) from error
            elif not getattr(error, '__notes__', None):
                error.add_note(place)
            raise


def infer_dtypes(nodes: Sequence[Node], given: Mapping[str, np.dtype]) -> dict[Node, np.dtype]:
    """The dtypes of variables and of first outputs, from those of some variables by name.

    An operator has the dtype that it names, or that of its first input; variables that nobody says have that of the
    first input of what they go into, and auxiliary states float32.
    """
    floating = np.dtype('float32')
    auxiliary = auxiliary_of(nodes)
    found: dict[Node, np.dtype] = {}
    for node in nodes:
        if node.is_variable:
            code = node.attributes.get('__dtype__')
            said = np.dtype(DTYPE_CODES[int(code)]) if code and code.isdigit() else None
            known = given.get(node.name, said)
            if known is not None or node in auxiliary:
                found[node] = known or floating
            continue
        first = next((found[entry.node] for entry in node.inputs if entry.node in found), floating)
        for entry in node.inputs:
            found.setdefault(entry.node, first)
        named = node.parsed.get('dtype') if isinstance(node.parsed.get('dtype'), str) else None
        found[node] = dtype_of(named) if named and named != 'None' else first
    return {node: found.get(node, floating) for node in nodes}
