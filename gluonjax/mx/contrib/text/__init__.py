"""`mx.contrib.text`: vocabularies, and vectors of words from files."""

from __future__ import annotations

from gluonjax.mx.contrib.text import counts as utils
from gluonjax.mx.contrib.text import embedding, vocab

__all__ = ['embedding', 'utils', 'vocab']
