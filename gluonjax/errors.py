"""Typed errors. Each says what happened, what was expected, what came instead, and what to do next.

They are also what programs of MXNet catch: its own error is a RuntimeError, and its checks of arguments are assertions.
"""

from __future__ import annotations


class GluonError(RuntimeError):
    """The base of every error that gluonjax raises on purpose.

    Args:
        what: what went wrong, in one sentence that names the thing.
        expected: what would have been right.
        got: what came instead.
        remedy: what to do next.

    >>> print(GluonError('the width is wrong', expected='3', got='4', remedy='pass 3'))
    the width is wrong
      expected: 3
      got: 4
      try: pass 3
    """

    located: bool = False  # whether the message says where in a network it was

    def __init__(self, what: str, *, expected: object = None, got: object = None, remedy: str | None = None):
        details = (('expected', expected), ('got', got), ('try', remedy))
        super().__init__('\n  '.join([what, *(f'{label}: {text}' for label, text in details if text is not None)]))

    def __str__(self) -> str:
        return str(self.args[0])

    def locate(self, *lines: str) -> None:
        """Adds lines that say where it arose, if it does not say so yet."""
        if not self.located:
            self.located = True
            Exception.__init__(self, '\n  '.join([str(self), *lines]))


class ArgumentError(GluonError, ValueError, AssertionError):
    """An argument has a value that the layer, the initializer or the method does not take."""


class ShapeError(GluonError, ValueError, AssertionError):
    """Shapes that do not fit each other, or a shape that is still unknown."""


class DTypeError(GluonError, TypeError, AssertionError):
    """An array of a dtype that cannot be used here."""


class ParamsError(GluonError, ValueError, AssertionError):
    """A `params` tree that does not match the definition; every difference is named."""


class PositionError(GluonError, IndexError):
    """A position outside of what is there."""


class PatternError(GluonError, ValueError, KeyError):
    """A pattern that matches no parameter."""


class TieError(GluonError, ValueError):
    """Parameters that cannot be one parameter."""


class UninitializedError(GluonError, RuntimeError):
    """A parameter was read before `initialize` was called."""


class DeferredInitializationError(GluonError, RuntimeError):
    """A parameter was read after `initialize` but before the first input completed its shape."""


class AllocationError(GluonError, MemoryError, ValueError):
    """Parameters that do not fit into memory."""


class MissingKeyError(GluonError, ValueError):
    """Something random was asked for, and no random key was given."""


class DonatedError(GluonError, RuntimeError):
    """A parameter's array was donated to a compiled function, and is gone."""


class FrozenError(GluonError, AttributeError, TypeError):
    """A definition was about to be changed after its construction."""


class BareLayerError(GluonError, TypeError):
    """A stateless definition was used as if it held values."""


class NotANetworkError(GluonError, AttributeError):
    """A stateless definition was asked for what only a network has."""


class MissingNameError(GluonError, AttributeError):
    """An attribute that is not there; where people from other libraries look for it, the error says what to write."""

    def __init__(self, what: str, *, remedy: str | None = None, name: str = ''):
        super().__init__(what, remedy=remedy)
        self.name: str | None = name


class KeywordError(GluonError, TypeError):
    """An argument was given by a name that there is not."""


class TransformationError(GluonError, RuntimeError):
    """A value would leak out of a transformation (`jit`, `vmap`, `scan`, ...) by a side effect."""


class CallbackError(GluonError, ValueError):
    """A Python function failed that a compiled program called back: `jax.pure_callback` and the like."""


class BatchMaskError(GluonError, ValueError):
    """A layer mixes the samples of a batch, and cannot tell which of its rows a mask leaves out."""


class NonFiniteError(GluonError, ArithmeticError):
    """A loss, an output or a gradient is infinite or not a number."""


class CheckpointError(GluonError, ValueError):
    """A checkpoint that is not there, or does not fit; every difference is named."""


class FileError(GluonError, ValueError):
    """A file that is not there, not of the format that it should be, or damaged; then the error names the byte."""


class DataError(GluonError, ValueError, AssertionError):
    """Batches that cannot be trained on, or that end too early."""


class MissingExtraError(GluonError, ImportError):
    """A package is needed that an extra of gluonjax installs."""
