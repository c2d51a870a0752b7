"""The table of operators: what an entry is, how one is written, and how one is found by its name."""

import dataclasses
import difflib
import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Self, TypeVar

import jax

from gluonjax.errors import ArgumentError, MissingNameError
from gluonjax.mx.op.attributes import parse
from gluonjax.mx.op.missing import why_missing

Attributes = Mapping[str, Any]  # parsed, every one of the operator's
Shapes = Mapping[str, Any]  # of inputs and outputs by name; None where unknown, as a size or as a whole
_Function = TypeVar('_Function', bound=Callable[..., Any])


@dataclasses.dataclass(frozen=True)
class Pass:
    """What an operator may ask of the pass that it runs in; one that does takes it as its keyword `pass_`.

    Args:
        training: whether it is a pass of training.
        next_key: gives a new random key.
        shapes: of the outputs, where the graph knows what attributes leave open, as in `_zeros(shape=(0, 128))`.
        subgraphs: of an operator of control flow: functions of a list of arrays, to a list of arrays.
    """

    training: bool = False
    next_key: Callable[[], jax.Array] | None = None
    shapes: tuple[Any, ...] = ()
    subgraphs: tuple[Callable[..., list[jax.Array]], ...] = ()

    def key(self, operator: str) -> jax.Array:
        """A new random key.

        Raises:
            ArgumentError: if the pass has none.
        """
        if self.next_key is None:
            raise ArgumentError(f'{operator} is random, and there is no key', remedy='pass key=')
        return self.next_key()


INFERENCE = Pass()


@dataclasses.dataclass(frozen=True, eq=False)
class Operator:
    """One operator. Most of it is read off the signature of its function; see `operator` for how one is written."""

    name: str
    function: Callable[..., Any]
    inputs: tuple[str, ...]
    may_be_missing: frozenset[str]  # inputs without which it runs all the same, as labels
    variadic: bool  # whether it takes any number of inputs
    annotations: Attributes
    defaults: Attributes
    auxiliary: tuple[str, ...]
    only_if: Mapping[str, Callable[[Attributes], bool]]
    output_names: Callable[[Attributes], Sequence[str]]
    visible: Callable[[Attributes], int] | None
    infer: Callable[[Attributes, Shapes], Shapes] | None
    takes_pass: bool

    def parse(self, given: Mapping[str, Any], where: str = '') -> dict[str, Any]:
        """Every attribute, from MXNet's strings or values of Python, with defaults for the others.

        Args:
            given: the attributes; names that begin with two underscores are MXNet's own and passed over, and so is a
                dtype where an operator has no attributes: programs give `zeros_like` one.
            where: how an error calls the node; by default the operator.

        Raises:
            ArgumentError: for an unknown name, a value of the wrong kind, or one that is missing.
        """
        where = where or self.name
        parsed = dict(self.defaults)
        for name, value in given.items():
            if name in self.annotations:
                parsed[name] = parse(where, name, self.annotations[name], value)
            elif not name.startswith('__') and (self.annotations or name != 'dtype'):
                near = difflib.get_close_matches(name, self.annotations, 1)
                raise ArgumentError(
                    f'{where} has no attribute {name!r}',
                    expected=', '.join(self.annotations),
                    got=f'{name}={value!r}',
                    remedy=f'{near[0]}=' if near else None,
                )
        if missing := [name for name in self.annotations if name not in parsed]:
            raise ArgumentError(f'{where} lacks {", ".join(missing)}', remedy=f'give {missing[0]}=')
        return parsed

    def inputs_for(self, attributes: Attributes, count: int = 0) -> tuple[str, ...]:
        """The names of the inputs, auxiliary states among them, that it has with these attributes.

        Args:
            attributes: parsed.
            count: of the inputs that were given, where any number can be.
        """
        if self.variadic:
            return tuple(f'arg{i}' for i in range(count))
        return tuple(name for name in self.inputs if name not in self.only_if or self.only_if[name](attributes))

    def outputs_for(self, attributes: Attributes) -> tuple[str, ...]:
        """The names of all outputs."""
        return tuple(self.output_names(attributes))

    def visible_for(self, attributes: Attributes) -> int:
        """How many outputs a graph shows, from the first on; others can be reached by number only."""
        return len(self.outputs_for(attributes)) if self.visible is None else self.visible(attributes)

    def run(
        self, arrays: Sequence[Any], attributes: Attributes, pass_: Pass = INFERENCE
    ) -> tuple[list[jax.Array], list[jax.Array]]:
        """The outputs, and the new values of the auxiliary states.

        Args:
            arrays: the inputs in the order of `inputs_for`; None for one that is missing and may be.
            attributes: parsed.
            pass_: the pass that it runs in.
        """
        named: dict[str, Any] = {**attributes, 'pass_': pass_} if self.takes_pass else dict(attributes)
        if self.only_if and not self.variadic:
            named.update(zip(self.inputs_for(attributes), arrays, strict=False))
            result = self.function(**named)
        else:
            result = self.function(*arrays, **named)
        result, updates = result if self.auxiliary else (result, ())
        return list(result) if isinstance(result, tuple | list) else [result], list(updates)

    def __call__(self, *arrays: Any, pass_: Pass = INFERENCE, **attributes: Any) -> Any:
        """The output, or a list of those that are visible."""
        parsed = self.parse(attributes)
        outputs, _ = self.run(arrays, parsed, pass_)
        visible = outputs[: self.visible_for(parsed)]
        return visible[0] if len(visible) == 1 else visible

    def __reduce__(self) -> Any:
        return find, (self.name,)

    def __repr__(self) -> str:
        return f'<operator {self.name}>'


_TABLE: dict[str, Operator] = {}
OPERATORS: Mapping[str, Operator] = types.MappingProxyType(_TABLE)  # by every name


class _Declared(NamedTuple):
    """What the parameters of a function say of an operator."""

    inputs: Sequence[str]
    missing: Sequence[str]  # inputs whose default is None
    variadic: bool
    annotations: dict[str, Any]
    defaults: dict[str, Any]

    @classmethod
    def of(cls, function: Any) -> Self:
        if hasattr(function, '__signature__') or hasattr(function, '__wrapped__'):
            return cls._of_signature(inspect.signature(function))
        code, defaults = function.__code__, function.__defaults__ or ()  # `inspect.signature` would slow down start-up
        inputs, rest = code.co_varnames[: code.co_argcount], code.co_varnames[code.co_argcount :]
        optional = zip(inputs[len(inputs) - len(defaults) :], defaults, strict=True)
        annotations = {name: function.__annotations__.get(name) for name in rest[: code.co_kwonlyargcount]}
        missing = [name for name, value in optional if value is None]
        variadic = bool(code.co_flags & inspect.CO_VARARGS)
        return cls(inputs, missing, variadic, annotations, dict(function.__kwdefaults__ or {}))

    @classmethod
    def _of_signature(cls, signature: inspect.Signature) -> Self:
        positional = [p for p in signature.parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
        keywords = [p for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY]
        return cls(
            [p.name for p in positional],
            [p.name for p in positional if p.default is None],
            any(p.kind is p.VAR_POSITIONAL for p in signature.parameters.values()),
            {p.name: p.annotation for p in keywords},
            {p.name: p.default for p in keywords if p.default is not p.empty},
        )


def enter(entry: Operator, *names: str) -> None:
    """Enters an operator into the table.

    Raises:
        ArgumentError: if there is one of this name.
    """
    for name in names:
        if name in _TABLE:
            raise ArgumentError(f'there are two operators {name}')
        _TABLE[name] = entry


def operator(
    *names: str,
    auxiliary: Sequence[str] = (),
    only_if: Mapping[str, Callable[[Attributes], bool]] | None = None,
    outputs: Sequence[str] | Callable[[Attributes], Sequence[str] | int] = ('output',),
    visible: Callable[[Attributes], int] | None = None,
    infer: Callable[[Attributes, Shapes], Shapes] | None = None,
) -> Callable[[_Function], _Function]:
    """Enters a function into the table.

    Inputs are its positional parameters, in MXNet's order; one with the default None may be missing. Attributes are its
    keyword-only parameters: the annotation says how MXNet's string is parsed. `*args` takes any number of inputs.

    Args:
        names: MXNet's name, and its aliases.
        auxiliary: inputs that are auxiliary states; the function returns the outputs and a tuple of their new values.
        only_if: input -> whether there is one, given the attributes.
        outputs: the names of the outputs, or a function from the attributes to them or to their number.
        visible: how many of the outputs a graph shows; all without it.
        infer: from the attributes and the shapes that are known (of inputs and outputs by name; None where not) to
            shapes of inputs; for parameters, labels and states.
    """

    def declare(function: _Function) -> _Function:
        declared = _Declared.of(function)
        takes_pass = declared.annotations.pop('pass_', None) is not None
        declared.defaults.pop('pass_', None)
        entry = Operator(
            name=names[0],
            function=function,
            inputs=tuple(declared.inputs),
            may_be_missing=frozenset(declared.missing) - set(only_if or {}),
            variadic=declared.variadic,
            annotations=declared.annotations,
            defaults=declared.defaults,
            auxiliary=tuple(auxiliary),
            only_if=only_if or {},
            output_names=_names_of(outputs),
            visible=visible,
            infer=infer,
            takes_pass=takes_pass,
        )
        enter(entry, *names)
        return function

    return declare


def _names_of(
    outputs: Sequence[str] | Callable[[Attributes], Sequence[str] | int],
) -> Callable[[Attributes], Sequence[str]]:
    if not callable(outputs):
        return lambda attributes: outputs

    def names(attributes: Attributes) -> Sequence[str]:
        found = outputs(attributes)
        if not isinstance(found, int):
            return found
        return ('output',) if found == 1 else [f'output{i}' for i in range(found)]

    return names


def alias(name: str, *others: str) -> None:
    """Gives an operator that is in the table more names."""
    for other in others:
        _TABLE[other] = _TABLE[name]


def check_present(prefix: str, name: str) -> None:
    """Refuses an operator of MXNet's that is not here; one that MXNet has not either goes by.

    Raises:
        MissingNameError: with why.
    """
    if why := why_missing(f'{prefix}{name}'):
        raise MissingNameError(f'there is no operator {name!r}: {why}', name=name)


def find(name: str) -> Operator:
    """The operator with this name.

    Raises:
        ArgumentError: if there is none, with why, or with the nearest name.
    """
    if name in OPERATORS:
        return OPERATORS[name]
    if why := why_missing(name):
        raise ArgumentError(f'there is no operator {name!r}: {why}')
    near = difflib.get_close_matches(name, OPERATORS, 1)
    raise ArgumentError(f'there is no operator {name!r}', remedy=next(iter(near), None))
