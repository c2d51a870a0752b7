"""Files: one module a format. `load` and `save` take any of the formats of arrays by name."""

from __future__ import annotations

from gluonjax.io.formats import load, save

__all__ = ['load', 'save']
