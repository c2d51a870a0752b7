"""`mx.log`: loggers by name.

>>> get_logger('net', level=INFO).level == INFO
True
"""

from __future__ import annotations

import logging
from logging import CRITICAL, DEBUG, ERROR, INFO, NOTSET, WARNING

from gluonjax.mx.entry import explain_calls

__all__ = ['CRITICAL', 'DEBUG', 'ERROR', 'INFO', 'NOTSET', 'WARNING', 'getLogger', 'get_logger']

_FORMAT = '%(levelname).1s%(asctime)s %(process)d %(pathname)s:%(funcName)s:%(lineno)d] %(message)s'


def get_logger(
    name: str | None = None, filename: str | None = None, filemode: str | None = None, level: int = WARNING
) -> logging.Logger:
    """A logger that writes to the error stream, or into a file.

    Args:
        name: its name; None is the root, which is left as it is.
        filename: the file.
        filemode: how it is opened; 'a' by default.
        level: of what is written.
    """
    logger = logging.getLogger(name)
    if name is not None and not logger.handlers:
        handler = logging.FileHandler(filename, filemode or 'a') if filename else logging.StreamHandler()
        handler.setFormatter(logging.Formatter(_FORMAT, datefmt='%m%d %H:%M:%S'))
        logger.addHandler(handler)
        logger.setLevel(level)
    return logger


getLogger = get_logger


explain_calls(globals())
