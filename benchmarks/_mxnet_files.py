"""MXNet's side of files.py: reads a file of parameters, or writes what is in it; a line asks for one more time."""

import os
import sys
import time

import mxnet as mx

if __name__ == '__main__':
    what, path = sys.argv[1:]
    arrays = mx.nd.load(path)
    for _ in sys.stdin:
        start = time.perf_counter()
        if what == 'read':
            arrays = None
            arrays = mx.nd.load(path)
        else:
            mx.nd.save(path + '.mxnet', arrays)
        mx.nd.waitall()
        seconds = time.perf_counter() - start
        if what == 'write':
            os.remove(path + '.mxnet')
        print(seconds, flush=True)
