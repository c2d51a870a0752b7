"""Records what MXNet's own metrics tell: `metrics.json`, `metrics.npz`.

Runs in the environment that `make_golden.py` describes:

    mxnet-env/bin/python tests/golden/make_metrics.py

`metrics.npz` has the numbers of each case's arrays, one after the other: of each update and each pair in it the labels,
then the predictions. `metrics.json` has

    registry       string -> class name, for what `mx.metric.create` understands
    signatures     constructor arguments as in `layers.json`
    shapes         case -> the shapes of those arrays
    cases          case -> for each step [get(), get_global()] after it, the first before any step;
                   {'error', 'message'} if MXNet refuses, after which nothing follows
    sums           case -> for each of these steps [sum_metric, num_inst]
    configs        class name -> get_config() of one that was made with the arguments it needs
"""
import pathlib
import warnings
import zlib

from make_golden import error, signature, write_json  # first: it chooses MXNet's CPU code

import mxnet as mx
import numpy as np
from mxnet import nd

from metric_cases import FUNCTIONS, METRICS

HERE = pathlib.Path(__file__).parent


NEEDED = {'TopKAccuracy': {'top_k': 2}, 'Perplexity': {'ignore_label': None},
          'CompositeEvalMetric': {'metrics': ['acc', 'mae']}}


def plain(value):
    """nan is the string 'nan', which JSON has."""
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value if isinstance(value, str) else 'nan' if np.isnan(value) else float(value)


def told(metric):
    return [plain(metric.get()), plain(metric.get_global())]


def summed(metric):
    return [plain(getattr(metric, name, 'nan')) for name in ('sum_metric', 'num_inst')]


def run(case, arrays, sums):
    """What the metric tells; the arrays are appended to `arrays`, and its sums to `sums`."""
    random = np.random.RandomState(zlib.crc32(case.name.encode()))
    kwargs = dict(case.kwargs)
    if 'feval' in kwargs:
        kwargs['feval'] = FUNCTIONS[kwargs['feval']]
    metric = getattr(mx.metric, case.metric)(**kwargs)
    answers = [told(metric)]
    sums.append(summed(metric))
    for step in case.steps:
        if isinstance(step, str):
            getattr(metric, step)()
        else:
            drawn = [recipe(random) for pair in step for recipe in pair]
            arrays.extend(drawn)
            inputs = [nd.array(array) for array in drawn]
            refused = error(lambda: metric.update(inputs[::2], inputs[1::2]))
            if refused:
                return answers + [refused]
        answers.append(told(metric))
        sums.append(summed(metric))
    return answers


def main():
    warnings.simplefilter('ignore')  # numpy's, of nan
    arrays = {case.name: [] for case in METRICS}
    sums = {case.name: [] for case in METRICS}
    cases = {case.name: run(case, arrays[case.name], sums[case.name]) for case in METRICS}
    registry = mx.registry.get_registry(mx.metric.EvalMetric)
    signatures = {cls.__name__: signature(cls) for cls in sorted(registry.values(), key=lambda c: c.__name__)}
    np.savez_compressed(HERE / 'metrics.npz', **{
        name: np.concatenate([a.ravel() for a in its]) for name, its in arrays.items() if its})
    write_json(HERE / 'metrics.json', {
        'mxnet': mx.__version__,
        'registry': {name: cls.__name__ for name, cls in sorted(registry.items())},
        'signatures': signatures, 'cases': cases, 'sums': sums,
        'configs': {name: getattr(mx.metric, name)(**NEEDED.get(name, {})).get_config()
                    for name in signatures if name != 'CustomMetric'},
        'shapes': {name: [list(a.shape) for a in its] for name, its in arrays.items()}})


if __name__ == '__main__':
    main()
