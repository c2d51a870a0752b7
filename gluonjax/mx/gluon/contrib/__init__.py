"""`gluon.contrib`: layers, cells and the Estimator."""

from __future__ import annotations

from gluonjax.mx.gluon.contrib import cnn, data, estimator, nn, rnn

__all__ = ['cnn', 'data', 'estimator', 'nn', 'rnn']
