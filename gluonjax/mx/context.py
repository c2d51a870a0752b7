"""Contexts: MXNet's names for devices, here JAX's.

>>> cpu(), cpu() == cpu(0), cpu().device.platform
(cpu(0), True, 'cpu')
"""

from __future__ import annotations

import contextvars
import dataclasses
from types import TracebackType
from typing import Any, ClassVar, Literal

import jax

from gluonjax.errors import ArgumentError
from gluonjax.mx.entry import explain_calls

_CODES = {'cpu': 1, 'gpu': 2, 'cpu_pinned': 3, 'cpu_shared': 5}
_TYPES = ('cpu', 'gpu', 'tpu', 'cpu_pinned', 'cpu_shared')


@dataclasses.dataclass(frozen=True, eq=False)
class Context:
    """A device by its type and number. In a `with` block new arrays are made there.

    Args:
        device_type: 'cpu', 'gpu' or 'tpu'; the host's other kinds of memory are its only one, and equal to it.
        device_id: which of them.

    >>> with Context('cpu', 0):
    ...     current_context()
    cpu(0)
    """

    devstr2type: ClassVar[dict[str, int]] = _CODES
    devtype2str: ClassVar[dict[int, str]] = {code: name for name, code in _CODES.items()}

    device_type: str | Context
    device_id: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.device_type, Context):
            object.__setattr__(self, 'device_id', self.device_type.device_id)
            object.__setattr__(self, 'device_type', self.device_type.device_type)
        if self.device_type not in _TYPES:
            raise ArgumentError('there is no such context', expected=', '.join(_TYPES), got=repr(self.device_type))

    @property
    def _key(self) -> tuple[str, int]:
        return str(self.device_type).partition('_')[0], self.device_id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Context) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def device_typeid(self) -> int:
        """MXNet's number of the type."""
        return _CODES.get(str(self.device_type), 6)

    @property
    def device(self) -> Any:
        """JAX's device.

        Raises:
            ArgumentError: if there is none.
        """
        platform, _ = self._key
        try:
            devices = jax.devices(platform)
        except RuntimeError:
            devices = []
        if platform == 'cpu' and devices:
            return devices[self.device_id % len(devices)]
        if not 0 <= self.device_id < len(devices):
            raise ArgumentError(f'there is no device {self}', got=f'{len(devices)} of its type', remedy='mx.cpu()')
        return devices[self.device_id]

    @property
    def is_virtual(self) -> bool:
        """Whether another context, with a lower number, is the same device: `cpu(1)` where JAX has one CPU."""
        platform, number = self._key
        return platform == 'cpu' and number >= len(jax.devices('cpu'))

    def empty_cache(self) -> None:
        """Does nothing: JAX looks after its memory."""

    def __enter__(self) -> Context:
        _CURRENT.set((*_CURRENT.get(), self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        _CURRENT.set(_CURRENT.get()[:-1])
        return False

    def __repr__(self) -> str:
        return f'{self.device_type}({self.device_id})'


class _Default:
    """`Context.default_ctx`: where arrays are made, as MXNet's programs read it of the class."""

    def __get__(self, instance: object | None, owner: type | None = None) -> Context:
        return current_context()


Context.default_ctx = _Default()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]

_CURRENT: contextvars.ContextVar[tuple[Context, ...]] = contextvars.ContextVar('contexts', default=())


def cpu(device_id: int = 0) -> Context:
    """The host."""
    return Context('cpu', device_id)


def cpu_pinned(device_id: int = 0) -> Context:
    """The host; JAX pins what it must."""
    return Context('cpu_pinned', device_id)


def gpu(device_id: int = 0) -> Context:
    """A GPU."""
    return Context('gpu', device_id)


def num_gpus() -> int:
    """How many GPUs there are."""
    try:
        return len(jax.devices('gpu'))
    except RuntimeError:
        return 0


def gpu_memory_info(device_id: int = 0) -> tuple[int, int]:
    """The bytes of a GPU that are free, and all of them, of those that JAX may use.

    Raises:
        ArgumentError: if there is no such GPU.
    """
    if device_id >= num_gpus():
        raise ArgumentError(f'there is no GPU {device_id}', expected=f'{num_gpus()} GPUs')
    known = jax.devices('gpu')[device_id].memory_stats()
    return known['bytes_limit'] - known['bytes_in_use'], known['bytes_limit']


def current_context() -> Context:
    """That of the innermost `with` block; JAX's default device without one."""
    contexts = _CURRENT.get()
    return contexts[-1] if contexts else context_of(default_device())


def virtual(ctx: Context | None) -> Context | None:
    """A context that shares its device with another, as `cpu(1)` where JAX has one CPU; None for any other."""
    contexts = _CURRENT.get()
    ctx = ctx or (contexts[-1] if contexts else None)
    return ctx if ctx is not None and ctx.is_virtual else None


def default_device() -> Any:
    """Where JAX makes new arrays."""
    return jax.local_devices()[0]


def context_of(device: Any) -> Context:
    """The context of JAX's device."""
    platform = {'cuda': 'gpu', 'rocm': 'gpu'}.get(device.platform, device.platform)
    return Context(platform if platform in _TYPES else 'cpu', jax.devices(device.platform).index(device))


explain_calls(globals(), functions=False)
