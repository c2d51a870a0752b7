"""`gluon.contrib`: layers, cells and the Estimator."""

from gluonjax.mx.gluon.contrib import cnn, nn, rnn

__all__ = ['cnn', 'nn', 'rnn']
