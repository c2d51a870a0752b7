"""Programs: a network as one file that runs without the Python code of its layers.

It is a file of the safetensors format: the parameters by name, the programs as bytes (`program/inference`, and
`program/training` if that was asked for), and in the metadata what the programs take. `jax.export` makes the programs;
they run on later versions of JAX, by its rules of compatibility.
"""

from __future__ import annotations

import importlib.util
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.export
import numpy as np

from gluonjax import checks
from gluonjax.arrays import Packed, admit, packed, split
from gluonjax.block import Block
from gluonjax.errors import ArgumentError, FileError, GluonError, MissingExtraError, ShapeError, TransformationError
from gluonjax.io import safetensors
from gluonjax.io.memory import to_device
from gluonjax.io.reading import Path, checked_path
from gluonjax.keys import as_key
from gluonjax.layer import Layer, run_layer
from gluonjax.lazy import entry_points, suggests_keywords
from gluonjax.parameter import LOCK, key_or_next
from gluonjax.shapes import shape_text
from gluonjax.tree import flatten, nest

PLATFORMS = ('cpu', 'cuda', 'tpu')
_KNOWN_PLATFORMS = (*PLATFORMS, 'rocm')
CUDNN_CALLS = tuple(  # of fused attention, in programs for CUDA; JAX is to be told that they may be saved
    f'__cudnn$fmha{name}' for name in ('Softmax', 'SoftmaxBackward', 'ScaleBiasSoftmax', 'ScaleBiasSoftmaxBackward')
)
_NOTES = 'gluonjax.program'
_PROGRAM = 'program/'
_PARAMS = 'params/'
_WAYS = ('inference', 'training')
_START = 9  # bytes: the length of a header, and its first


@suggests_keywords
def save_program(
    net: Block,
    filename: Path,
    *inputs: Any,
    batch_axis: int | None = 0,
    platforms: Sequence[str] = PLATFORMS,
    training: bool = False,
) -> None:
    """Writes the network as one file, which `gluonjax.load_program` runs without the code of the network.

    Args:
        net: the network, initialized.
        filename: where. The file is there when it is whole, and not before.
        *inputs: arrays or `jax.ShapeDtypeStruct`s, or tuples, lists and dicts of them: what the program will take.
        batch_axis: the axis of all inputs whose size is left open; None leaves none open.
        platforms: on which it is to run.
        training: also write the program for training; and both can be differentiated.

    Raises:
        ArgumentError: for a platform that JAX does not have, or inputs that are no arrays.
        DeferredInitializationError: if a parameter has no value yet.
        MissingExtraError: without flatbuffers.
        TransformationError: if the program cannot be made, as with a layer that needs the size of the batch.
    """
    _check_flatbuffers()
    checked_path(filename)
    platforms = [checks.one_of('a platform', platform, _KNOWN_PLATFORMS) for platform in platforms]
    arrays, static = split(inputs)
    if static.has_values() or not inputs:
        raise ArgumentError('a program takes arrays', expected='at least one input, and arrays only', got=repr(inputs))
    with LOCK:
        definition, values = net.definition, flatten(net.params)
    shapes = jax.tree.map(lambda array: jax.ShapeDtypeStruct(array.shape, array.dtype), values)
    opened = jax.tree.unflatten(static.structure, _open(arrays, batch_axis))
    ways = _WAYS if training else _WAYS[:1]
    written = {way: _exported(definition, way, shapes, opened, platforms, training) for way in ways}
    notes = {
        'inputs': [f'{array.dtype} {shape_text(array.shape)}' for array in jax.tree.leaves(opened)],
        'platforms': platforms,
        'checksums': {way: zlib.crc32(data) for way, data in written.items()},
        'jax': jax.__version__,
    }
    arrays = {f'{_PARAMS}{name}': value for name, value in values.items()}
    arrays |= {f'{_PROGRAM}{way}': np.frombuffer(data, 'uint8') for way, data in written.items()}
    safetensors.save(filename, arrays, {_NOTES: json.dumps(notes)})


@suggests_keywords
def load_program(filename: Path) -> Program:
    """The program that `net.save_program` wrote.

    Raises:
        FileError: if the file is no program, or is damaged.
        MissingExtraError: without flatbuffers.
    """
    _check_flatbuffers()
    with open(checked_path(filename), 'rb') as file:
        start = file.read(_START)
    if start[8:] not in (b'', b'{'):
        raise _no_program(filename, f'a file that begins with {start!r}')
    arrays, metadata = safetensors.load_with_metadata(filename)
    if _NOTES not in metadata:
        raise _no_program(filename, 'parameters alone')
    try:
        notes = json.loads(metadata[_NOTES])
        exported = {way: _deserialized(arrays[_PROGRAM + way], crc) for way, crc in notes['checksums'].items()}
        values = {name.removeprefix(_PARAMS): value for name, value in arrays.items() if name.startswith(_PARAMS)}
        on_device = to_device(list(values.values()), [value.dtype for value in values.values()], [None] * len(values))
        return Program(exported, dict(zip(values, on_device, strict=True)), notes['inputs'])
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise FileError(
            f'{str(filename)!r} holds no program, or is damaged',
            expected='a file that net.save_program wrote',
            got=f'{type(error).__name__}: {error}',
        ) from error


def _no_program(filename: Path, got: str) -> FileError:
    return FileError(
        f'{str(filename)!r} holds no program',
        expected='a file that net.save_program wrote',
        got=got,
        remedy='net.save_program(path, x) writes one; net.load_parameters(path) reads parameters',
    )


@entry_points
class Program:
    """A network without its code: its programs, compiled, and its parameters.

    >>> import tempfile, jax.numpy as jnp
    >>> from gluonjax import nn
    >>> net, path = nn.Sequential(nn.Dense(2, in_units=3)), tempfile.mkdtemp() + '/net.program'
    >>> net.initialize('ones')
    >>> net.save_program(path, jnp.ones((1, 3)))  # doctest: +SKIP
    >>> program = load_program(path)  # doctest: +SKIP
    >>> program  # doctest: +SKIP
    Program(inputs=['float32 (batch, 3)'], platforms=('cpu', 'cuda', 'tpu'), training=False)
    >>> program(jnp.ones((2, 3)))  # doctest: +SKIP
    Array([[3., 3.],
           [3., 3.]], dtype=float32)
    """

    def __init__(
        self, exported: Mapping[str, jax.export.Exported], values: Mapping[str, jax.Array], inputs: Sequence[str]
    ):
        self.inputs: list[str] = list(inputs)
        self.platforms: tuple[str, ...] = tuple(exported['inference'].platforms)
        self.params: dict[str, Any] = nest(values)
        self._exported = exported
        self._compiled = {way: jax.jit(_callable(program)) for way, program in exported.items()}

    def __call__(self, *inputs: Any) -> Any:
        """Inference with the parameters of the file."""
        return self.apply(self.params, *inputs)

    def apply(self, params: Mapping[str, Any], *inputs: Any) -> Any:
        """Inference, a pure function. With `training=True` it can be differentiated.

        Raises:
            ArgumentError: if it is differentiated, and was saved without `training=True`.
            ShapeError: if the inputs or the parameters are not those that the program was made for.
        """
        return self._run('inference', flatten(admit(params, 'params')), admit(inputs))

    def apply_train(self, params: Mapping[str, Any], *inputs: Any, key: Any = None) -> tuple[Any, dict[str, Any]]:
        """Training, a pure function that can be differentiated: dropout on, batch statistics used and recorded.

        Args:
            params: as `program.params`.
            *inputs: the inputs.
            key: a JAX key or an int; by default the next of the library's stream.

        Returns:
            The output, and params with the recorded running statistics.

        Raises:
            ArgumentError: if the program was saved without `training=True`.
        """
        if 'training' not in self._compiled:
            remedy = 'net.save_program(path, x, training=True)'
            raise ArgumentError('this program is for inference alone', remedy=remedy)
        values = flatten(admit(params, 'params'))
        with key_or_next(key) as key:
            output, recorded = self._run('training', values, jax.random.key_data(as_key(key)), admit(inputs))
        return output, nest({**values, **recorded})

    def _run(self, way: str, values: Mapping[str, Any], *rest: Any) -> Any:
        try:
            return self._compiled[way](values, *rest)
        except (ValueError, TypeError) as error:
            if isinstance(error, GluonError):
                raise
            raise ShapeError(
                'the program cannot run on these inputs and parameters, or on this machine',
                expected=f'{", ".join(self.inputs)}; on {", ".join(self.platforms)}',
                got=f'{error}'.splitlines()[0],
            ) from error

    def __repr__(self) -> str:
        trained = 'training' in self._compiled
        return f'Program(inputs={self.inputs}, platforms={self.platforms}, training={trained})'


def _callable(program: jax.export.Exported) -> Callable[..., Any]:
    """The program as a function; where it has no derivative, this is said by name."""
    if program.has_vjp():
        return program.call

    def refuse(*arguments: Any) -> Any:
        remedy = 'net.save_program(path, x, training=True)'
        raise ArgumentError('this program was saved without derivatives', remedy=remedy)

    function = jax.custom_vjp(program.call)
    function.defvjp(refuse, refuse)
    return function


def _check_flatbuffers() -> None:
    if importlib.util.find_spec('flatbuffers') is None:
        raise MissingExtraError(
            'programs are written with flatbuffers, which is not installed', remedy="pip install 'gluonjax[programs]'"
        )


def _open(arrays: Sequence[Any], axis: int | None) -> list[jax.ShapeDtypeStruct]:
    """The shapes and dtypes, with an open size on the batch axis of those that have one."""
    (batch,) = jax.export.symbolic_shape('batch')

    def shape_of(array: Any) -> tuple[Any, ...]:
        return tuple(batch if i == axis else size for i, size in enumerate(array.shape))

    return [jax.ShapeDtypeStruct(shape_of(array), jax.dtypes.canonicalize_dtype(array.dtype)) for array in arrays]


def _exported(
    definition: Layer, way: str, values: Mapping[str, Any], inputs: Any, platforms: Sequence[str], differentiable: bool
) -> bytes:
    def infer(values, inputs):
        return _arrays(run_layer(definition, values, inputs, {})[0])

    def train(values, key, inputs):
        key = jax.random.wrap_key_data(key)
        output, recorded = run_layer(definition, values, inputs, {}, training=True, key=key)
        return _arrays(output), recorded

    key = jax.eval_shape(jax.random.key_data, jax.random.key(0))
    function, arguments = (infer, (values, inputs)) if way == 'inference' else (train, (values, key, inputs))
    try:
        allowed = [jax.export.DisabledSafetyCheck.custom_call(name) for name in CUDNN_CALLS]
        exported = jax.export.export(jax.jit(function), platforms=platforms, disabled_checks=allowed)(*arguments)
        return bytes(exported.serialize(vjp_order=1 if differentiable else 0))
    except GluonError:
        raise
    except Exception as error:
        raise TransformationError(
            f'no program for {way} can be made of this network',
            got=f'{type(error).__name__}: {error}'.splitlines()[0],
            remedy='batch_axis=None, if a layer needs the size of the batch; inputs in tuples, lists and dicts; '
            "a file for each platform, or MultiHeadAttention(implementation='xla'), if cuDNN's attention is in the way",
        ) from error


def _arrays(output: Any) -> Any:
    if isinstance(packed(output), Packed):
        raise ArgumentError('a program returns arrays', got=f'an output with {output!r}', remedy='return arrays only')
    return output


def _deserialized(data: np.ndarray, checksum: int) -> jax.export.Exported:
    if zlib.crc32(data.data) != checksum:
        raise ValueError('the program is not as it was written')
    return jax.export.deserialize(bytearray(data.data))
