"""`mx.callback`: what `fit` calls after batches and epochs."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import Any

from gluonjax import checks
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.model import save_checkpoint


def module_checkpoint(
    mod: Any, prefix: str, period: int = 1, save_optimizer_states: bool = False
) -> Callable[..., None]:
    """Writes a checkpoint of a module every so many epochs.

    Args:
        mod: the module.
        prefix: how the names of the files begin.
        period: every how many epochs.
        save_optimizer_states: whether the state of the optimizer is written too.
    """
    period = max(1, int(period))

    def callback(iter_no: int, sym: Any = None, arg: Any = None, aux: Any = None) -> None:
        if (iter_no + 1) % period == 0:
            mod.save_checkpoint(prefix, iter_no + 1, save_optimizer_states)

    return callback


def do_checkpoint(prefix: str, period: int = 1) -> Callable[..., None]:
    """Writes a checkpoint every so many epochs.

    Args:
        prefix: how the names of the files begin.
        period: every how many epochs.
    """
    period = max(1, int(period))

    def callback(iter_no: int, sym: Any, arg: Any, aux: Any) -> None:
        if (iter_no + 1) % period == 0:
            save_checkpoint(prefix, iter_no + 1, sym, arg, aux)

    return callback


def log_train_metric(period: int, auto_reset: bool = False) -> Callable[[Any], None]:
    """Logs the metric every so many batches.

    Args:
        period: every how many batches.
        auto_reset: whether the metric begins again then.
    """
    period = checks.size('period', period)

    def callback(param: Any) -> None:
        if param.nbatch % period == 0 and param.eval_metric is not None:
            for name, value in param.eval_metric.get_name_value():
                logging.info('Iter[%d] Batch[%d] Train-%s=%f', param.epoch, param.nbatch, name, value)
            if auto_reset:
                param.eval_metric.reset_local()

    return callback


class Speedometer:
    """Logs the speed, and the metric, every so many batches.

    Args:
        batch_size: how many samples a batch has.
        frequent: every how many batches.
        auto_reset: whether the metric begins again then.
    """

    def __init__(self, batch_size: int, frequent: int = 50, auto_reset: bool = True):
        self.batch_size: int = batch_size
        self.frequent: int = checks.size('frequent', frequent)
        self.auto_reset: bool = auto_reset
        self.last_count: int = 0
        self.tic: float | None = None

    def __call__(self, param: Any) -> None:
        """Takes in a `BatchEndParam`."""
        count = param.nbatch
        if self.tic is None or count < self.last_count:
            self.tic = time.time()
        elif count % self.frequent == 0:
            self._log(param, count, self.frequent * self.batch_size / max(time.time() - self.tic, 1e-9))
            self.tic = time.time()
        self.last_count = count

    def _log(self, param: Any, count: int, speed: float) -> None:
        if param.eval_metric is None:
            logging.info('Iter[%d] Batch [%d]\tSpeed: %.2f samples/sec', param.epoch, count, speed)
            return
        values = ''.join(f'\t{name}={value:f}' for name, value in param.eval_metric.get_name_value())
        first = count - self.frequent if self.auto_reset else 0
        message = 'Epoch[%d] Batch [%d-%d]\tSpeed: %.2f samples/sec%s'
        logging.info(message, param.epoch, first, count, speed, values)
        if self.auto_reset:
            param.eval_metric.reset_local()


class ProgressBar:
    """Logs how much of an epoch is done.

    Args:
        total: how many batches an epoch has.
        length: how many characters the bar has.
    """

    def __init__(self, total: int, length: int = 80):
        self.total: int = checks.size('total', total)
        self.bar_len: int = length

    def __call__(self, param: Any) -> None:
        """Takes in a `BatchEndParam`."""
        done = round(self.bar_len * param.nbatch / self.total)
        bar = '=' * done + '-' * (self.bar_len - done)
        logging.info('[%s] %s%s\r', bar, math.ceil(100 * param.nbatch / self.total), '%')


class LogValidationMetricsCallback:
    """Logs the metric at the end of a score."""

    def __call__(self, param: Any) -> None:
        """Takes in a `BatchEndParam`."""
        if param.eval_metric:
            for name, value in param.eval_metric.get_name_value():
                logging.info('Epoch[%d] Validation-%s=%f', param.epoch, name, value)


explain_calls(globals())
