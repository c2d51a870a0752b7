"""MXNet's side of rnn.py, run by its own Python: for each line of input, one training step and its seconds."""

import json
import sys
import time

import mxnet as mx
from mxnet import autograd, gluon, nd

kind, units, layers, steps, batch = json.loads(sys.argv[1])
net = getattr(gluon.rnn, kind)(units, layers)
net.initialize(mx.init.Uniform(0.07))
net.hybridize()
x = nd.random.normal(shape=(steps, batch, units))
x.attach_grad()
for _ in sys.stdin:
    start = time.perf_counter()
    with autograd.record():
        total = (net(x) ** 2).sum()
    total.backward()
    nd.waitall()
    print(time.perf_counter() - start, flush=True)
