"""How things show themselves: constructor calls and tables of text."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[object]], foot: str = '') -> str:
    """Rows of text in aligned columns; columns of numbers are aligned right.

    >>> print(table(['name', 'count'], [['weight', 12], ['b', 3]], 'total 15'))
    name    count
    ------  -----
    weight     12
    b           3
    total 15
    """
    rows = [list(row) for row in rows]
    text = [[f'{cell:,}' if isinstance(cell, int) else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *text, strict=True)]
    numeric = [bool(rows) and all(isinstance(row[i], int) for row in rows) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = (c.rjust(w) if right else c.ljust(w) for c, w, right in zip(cells, widths, numeric, strict=True))
        return '  '.join(padded).rstrip()

    return '\n'.join([line(head), line(['-' * width for width in widths]), *map(line, text), *([foot] if foot else [])])


def constructor_call(instance: object, cls: type | None = None, hidden: Iterable[str] = ()) -> str:
    """The call that makes `instance`, from the attributes that carry its arguments' names; defaults are left out.

    Args:
        instance: what is described.
        cls: the class whose constructor is shown, None for the instance's.
        hidden: arguments to leave out.

    >>> class Point:
    ...     def __init__(self, x, y=0, z=0):
    ...         self.x, self.y, self.z = x, y, z
    >>> constructor_call(Point(1, y=(0, 0), z=2))
    'Point(1, z=2)'
    """
    cls, shown = cls or type(instance), []
    hidden = {*hidden, *(name for name, field in getattr(cls, '__dataclass_fields__', {}).items() if not field.repr)}
    for parameter in list(inspect.signature(cls.__init__).parameters.values())[1:]:
        value = vars(instance).get(parameter.name, parameter.default)
        if parameter.name not in hidden and value is not parameter.default and not _equal(value, parameter.default):
            required = parameter.default is parameter.empty and parameter.kind is not parameter.KEYWORD_ONLY
            shown.append(repr(value) if required else f'{parameter.name}={value!r}')
    return f'{cls.__name__}({", ".join(shown)})'


def _equal(value: object, default: object) -> bool:
    if isinstance(value, tuple) and isinstance(default, int):  # one number that stood for every axis
        return set(value) == {default}
    return type(value) is type(default) and isinstance(value, str | int | float | tuple) and value == default
