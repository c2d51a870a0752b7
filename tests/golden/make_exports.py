"""Writes exports.npz: what MXNet 1.9.1 computes of the graphs in exports.json, which `net.export` wrote.

Run it as make_golden.py says, after `python tests/golden/export_cases.py` in the environment of gluonjax has written
the graphs. Keys are 'name 0' for the outputs. Each graph runs as a SymbolBlock and,
unless its inputs differ along the first axis, in a Module; both must agree.
"""

import json
import pathlib
import tempfile

import mxnet as mx
import numpy as np
from export_values import input_of, value_of

HERE = pathlib.Path(__file__).parent


def shape_of(symbol, name):
    return tuple(json.loads(symbol.attr_dict()[name]['__shape__'].replace('(', '[').replace(',)', ']').replace(')', ']')))


def main():
    arrays = {}
    for name, case in json.loads((HERE / 'exports.json').read_text()).items():
        prefix = tempfile.mkdtemp() + '/net'
        pathlib.Path(prefix + '-symbol.json').write_text(case['json'])
        symbol = mx.sym.load(prefix + '-symbol.json')
        inputs = {key: mx.nd.array(input_of(case['input'], shape)) for key, shape in case['inputs'].items()}
        auxiliary = symbol.list_auxiliary_states()
        values = {key: mx.nd.array(case['constants'].get(key, value_of(key, shape_of(symbol, key)))) for key in symbol.list_inputs()
                  if key not in inputs}
        mx.nd.save(prefix + '-0000.params', {('aux:' if key in auxiliary else 'arg:') + key: value
                                             for key, value in values.items()})
        net = mx.gluon.SymbolBlock.imports(prefix + '-symbol.json', list(inputs), prefix + '-0000.params')
        outputs = net(*inputs.values())
        outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        for i, output in enumerate(outputs):
            arrays['{} {}'.format(name, i)] = output.asnumpy()
        if len({value.shape[0] for value in inputs.values()}) > 1:
            continue  # a Module slices all inputs into batches
        module = mx.mod.Module(symbol, list(inputs), label_names=None)
        module.bind([(key, value.shape) for key, value in inputs.items()], for_training=False)
        module.set_params(*mx.model.load_checkpoint(prefix, 0)[1:])
        module.forward(mx.io.DataBatch(list(inputs.values())))
        for output, again in zip(outputs, module.get_outputs()):
            np.testing.assert_allclose(output.asnumpy(), again.asnumpy(), 1e-5, 1e-6)
    np.savez_compressed(HERE / 'exports.npz', **arrays)


if __name__ == '__main__':
    main()
