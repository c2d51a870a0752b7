"""`mx.contrib`: what MXNet had on trial; here its vocabularies and embeddings of words."""

from gluonjax.mx.contrib import text

__all__ = ['text']
