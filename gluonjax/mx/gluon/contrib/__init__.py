"""`gluon.contrib`: layers, cells and the Estimator."""

from gluonjax.mx.gluon.contrib import cnn, estimator, nn, rnn

__all__ = ['cnn', 'estimator', 'nn', 'rnn']
