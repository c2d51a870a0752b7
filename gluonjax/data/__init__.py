"""Data on its way to the device."""

from gluonjax.data.batching import Batches, batches

__all__ = ['Batches', 'batches']
