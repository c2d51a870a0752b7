"""What people from other libraries look for, and what they write here: the table is in hints.toml."""

from __future__ import annotations

import difflib
import functools
import pathlib
from collections.abc import Iterable

from gluonjax.errors import MissingNameError


@functools.cache
def hints() -> dict[str, dict[str, str]]:
    """Of whom it is asked -> name -> what to write."""
    import tomllib

    return tomllib.loads(pathlib.Path(__file__).with_suffix('.toml').read_text())


def missing(owner: str, name: str, kind: str, known: Iterable[str] = ()) -> MissingNameError:
    """The AttributeError for a name that is not there, with what to write in its place.

    Args:
        owner: how the error calls what was asked.
        name: the name.
        kind: of whom it is asked, a key of `hints()` if there is something to say of its names.
        known: names that are there, of which a near one is named.

    >>> print(missing("module 'gluonjax.nn'", 'Linear', 'gluonjax.nn'))
    module 'gluonjax.nn' has no attribute 'Linear'
      try: nn.Dense(3)
    """
    asked = not name.startswith('__')  # by somebody: Python itself looks for such names in modules that it imports
    near = difflib.get_close_matches(name, [other for other in known if asked and not other.startswith('_')], 1)
    hint = hints().get(kind, {}).get(name) if asked else None
    return MissingNameError(f'{owner} has no attribute {name!r}', remedy=hint or next(iter(near), None), name=name)
