"""Cases of MXNet's steps of optimizers and of quantized operators. As in operator_cases.py."""

from operator_cases import Case, ints, uniform, values

W = uniform(-1, 1, 2, 3)
G = uniform(-2, 2, 2, 3)
POSITIVE = uniform(0.1, 1, 2, 3)
COMMON = {'lr': 0.1, 'wd': 0.01, 'rescale_grad': 0.5, 'clip_gradient': 0.6, 'grad_': 0}
PLAIN = {'lr': 0.1, 'grad_': 0}
RATES = {'lrs': (0.1, 0.2), 'wds': (0.01, 0.0), 'num_weights': 2, 'rescale_grad': 0.5, 'clip_gradient': 0.6, 'grad_': 0}


def half(make):
    return lambda random: make(random).astype('float16')


H, HG = half(W), half(G)
ONE = values(0.5)
LAMB = {'wd': 0.01, 'rescale_grad': 0.5, 'clip_gradient': 0.6, 't': 2, 'grad_': 0}
LAMBS = {'learning_rates': (0.1, 0.2), 'wds': (0.01, 0.1), 'step_count': (1, 2), 'num_tensors': 2, 'grad_': 0}
ADAMW = {'lr': 0.1, 'wd': 0.01, 'eta': 0.5, 'clip_gradient': 0.6, 'grad_': 0}
ADAMWS = {'lrs': (0.1, 0.2), 'wds': (0.01, 0.1), 'etas': (0.5, 1.0), 'num_weights': 2, 'grad_': 0}

X = uniform(-2, 2, 2, 3)
LOW, HIGH = values(-1), values(1.5)
WEIGHT, RANGE = [values(-0.5), values(0.4)], [values(-2), values(2)]
INT32 = ints(-2**30, 2**30, 2, 3, dtype='int32')


def image(dtype, *shape):
    return ints(0, 256, *shape, dtype=dtype) if dtype == 'uint8' else ints(-127, 128, *shape, dtype=dtype)


INT8, UINT8, BIAS = image('int8', 2, 3), image('uint8', 2, 3), image('int8', 2)

FAMILIES = {
    'updates': [
        Case('sgd_update', W, G, **PLAIN),
        Case('sgd_update', W, G, **COMMON),
        Case('mp_sgd_update', H, HG, W, **COMMON),
        Case('sgd_mom_update', W, G, W, momentum=0.9, **COMMON),
        Case('mp_sgd_mom_update', H, HG, W, W, momentum=0.9, **COMMON),
        Case('nag_mom_update', W, G, W, momentum=0.9, **PLAIN),
        Case('nag_mom_update', W, G, W, momentum=0.9, **COMMON),
        Case('mp_nag_mom_update', H, HG, W, W, momentum=0.9, **COMMON),
        Case('signsgd_update', W, G, **COMMON),
        Case('signum_update', W, G, W, momentum=0.9, wd_lh=0.1, **COMMON),
        Case('adam_update', W, G, W, POSITIVE, **COMMON),
        Case('_adamw_update', W, G, W, POSITIVE, ONE, **ADAMW),
        Case('_mp_adamw_update', H, HG, W, POSITIVE, W, ONE, **ADAMW),
        Case('rmsprop_update', W, G, POSITIVE, clip_weights=0.5, **COMMON),
        Case('rmspropalex_update', W, G, uniform(1, 2, 2, 3), uniform(-0.5, 0.5, 2, 3), W, **COMMON),
        Case('ftrl_update', W, G, W, POSITIVE, **COMMON),
        Case('ftml_update', W, G, POSITIVE, POSITIVE, W, t=2, lr=0.1, wd=0.01, rescale_grad=0.5, clip_grad=0.6, grad_=0),
        Case('lamb_update_phase1', W, G, W, POSITIVE, **LAMB),
        Case('lamb_update_phase1', W, G, W, POSITIVE, bias_correction=False, **LAMB),
        Case('mp_lamb_update_phase1', H, HG, W, POSITIVE, W, **LAMB),
        Case('lamb_update_phase2', W, G, values(1.5), values(0.7), **PLAIN),
        Case('lamb_update_phase2', W, G, values(1.5), values(0.7), lower_bound=0.1, upper_bound=1.0, **PLAIN),
        Case('lamb_update_phase2', W, G, values(0), values(0.7), **PLAIN),
        Case('mp_lamb_update_phase2', H, G, values(1.5), values(0.7), W, **PLAIN),
        Case('multi_sgd_update', W, G, W, G, **RATES),
        Case('multi_sgd_mom_update', W, G, W, W, G, W, momentum=0.9, **RATES),
        Case('multi_mp_sgd_update', H, HG, W, H, HG, W, **RATES),
        Case('multi_mp_sgd_mom_update', H, HG, W, W, H, HG, W, W, momentum=0.9, **RATES),
        Case('preloaded_multi_sgd_update', W, G, W, G, values(0.1, 0.2), values(0.01, 0), num_weights=2, grad_=0),
        Case('preloaded_multi_mp_sgd_mom_update', H, HG, W, W, values(0.1), values(0.01), momentum=0.9, num_weights=1, grad_=0),
        Case('_multi_adamw_update', W, G, W, POSITIVE, W, G, W, POSITIVE, ONE, **ADAMWS),
        Case('_multi_mp_adamw_update', H, HG, W, POSITIVE, W, H, HG, W, POSITIVE, W, ONE, **ADAMWS),
        Case('_multi_lamb_update', W, G, W, POSITIVE, W, G, W, POSITIVE, **LAMBS),
        Case('_multi_mp_lamb_update', H, HG, W, POSITIVE, W, H, HG, W, POSITIVE, W, **LAMBS),
        Case('multi_lars', values(0.1, 0.2), values(4, 0), values(1, 2), values(0.1, 0.1), eta=0.5, eps=1e-3, rescale_grad=2.0,
             grad_=0),
    ],
    'quantized': [
        Case('_contrib_quantize', X, LOW, HIGH, out_type='uint8', grad_=0),
        Case('_contrib_quantize', X, LOW, HIGH, out_type='int8', grad_=0),
        Case('_contrib_quantize_v2', X, grad_=0),
        Case('_contrib_quantize_v2', X, min_calib_range=-1.0, max_calib_range=1.5, grad_=0),
        Case('_contrib_quantize_v2', POSITIVE, out_type='auto', min_calib_range=0.0, max_calib_range=0.8, grad_=0),
        Case('_contrib_dequantize', INT8, LOW, HIGH, grad_=0),
        Case('_contrib_dequantize', UINT8, values(0), HIGH, grad_=0),
        Case('_contrib_requantize', INT32, values(-10), values(12), grad_=0),
        Case('_contrib_requantize', INT32, values(-10), values(12), min_calib_range=-3.0, max_calib_range=2.0, grad_=0),
        Case('_contrib_quantized_fully_connected', INT8, INT8, BIAS, LOW, HIGH, *WEIGHT, *RANGE, num_hidden=2, grad_=0),
        Case('_contrib_quantized_fully_connected', UINT8, INT8, LOW, HIGH, *WEIGHT, num_hidden=2, no_bias=True, grad_=0),
        Case('_contrib_quantized_conv', image('uint8', 1, 2, 3, 3), image('int8', 2, 2, 2, 2), LOW, HIGH, *WEIGHT,
             kernel=(2, 2), num_filter=2, no_bias=True, grad_=0),
        Case('_contrib_quantized_conv', image('uint8', 1, 2, 3, 3), image('int8', 2, 2, 2, 2), BIAS, LOW, HIGH, *WEIGHT, *RANGE,
             kernel=(2, 2), num_filter=2, stride=(2, 2), pad=(1, 1), grad_=0),
        Case('_contrib_quantized_pooling', image('int8', 1, 1, 3, 3), LOW, HIGH, kernel=(2, 2), grad_=0),
        Case('_contrib_quantized_pooling', image('uint8', 1, 1, 3, 3), LOW, HIGH, kernel=(2, 2), pool_type='avg', grad_=0),
        Case('_contrib_quantized_flatten', image('int8', 2, 1, 2, 2), LOW, HIGH, grad_=0),
        Case('_contrib_quantized_act', INT8, LOW, HIGH, act_type='relu', grad_=0),
        Case('_contrib_quantized_elemwise_add', INT8, INT8, LOW, HIGH, *WEIGHT, grad_=0),
        Case('_contrib_quantized_elemwise_add', INT8, INT8, LOW, HIGH, *WEIGHT, min_calib_range=-1.0, max_calib_range=1.0, grad_=0),
        Case('_contrib_quantized_elemwise_add', UINT8, UINT8, LOW, HIGH, *WEIGHT, min_calib_range=0.0, max_calib_range=2.5,
             grad_=0),
        Case('_contrib_quantized_concat', INT8, INT8, LOW, HIGH, *WEIGHT, num_args=2, dim=1, grad_=0),
        Case('_contrib_quantized_batch_norm', image('int8', 1, 2, 2, 2), values(1, 2), values(0.1, 0.2), values(0.1, -0.2),
             values(1, 0.5), LOW, HIGH, fix_gamma=False, min_calib_range=-2.0, max_calib_range=3.0, grad_=0),
        Case('_contrib_quantized_embedding', values(0, 2), image('int8', 3, 2), LOW, HIGH, input_dim=3, output_dim=2, grad_=0),
    ],
}
