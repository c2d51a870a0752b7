"""`mx.contrib.text`: vocabularies, and vectors of words from files."""

from gluonjax.mx.contrib.text import counts as utils
from gluonjax.mx.contrib.text import embedding, vocab

__all__ = ['embedding', 'utils', 'vocab']
