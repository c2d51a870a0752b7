"""The optimizers and schedulers that MXNet answered for: one table, read by both sides, as `cases.py` is for layers.

`make_optimizers.py` (Python 3.8, MXNet) records how they train one network; the tests (JAX) compare. So this file is
plain Python 3.8 and imports nothing heavy.
"""
from typing import NamedTuple, Optional

BATCH, INPUTS, HIDDEN, CLASSES = 8, 4, 5, 3
STEPS = 10
RECORDED = (1, 2, 5, 10)  # after these steps the parameters are recorded; the loss always is


class Scheduler(NamedTuple):
    cls: str
    kwargs: dict


class OptimizerCase(NamedTuple):
    name: str
    optimizer: str  # MXNet's name
    options: dict = {}
    scheduler: Optional[Scheduler] = None
    lr_mult: dict = {}  # name of a parameter -> factor
    wd_mult: dict = {}
    trained: str = '.*'  # a pattern; all other parameters stay
    rates: dict = {}  # number of a step -> the rate that is set before it
    one_by_one: bool = False  # an optimizer of its own for each parameter
    named: bool = False  # MXNet's optimizer is told the names of the parameters


def variants(optimizer, plain, **options):
    """The plain case; and with weight decay, clipping that bites, and both with everything else there is."""
    common = dict(wd=0.1, clip_gradient=0.05)
    rows = [('plain', {}), ('wd', {'wd': 0.1}), ('clip', {'clip_gradient': 0.05}), ('rescale', {'rescale_grad': 0.5}),
            ('all', dict(common, rescale_grad=1.5, **options))]
    return [OptimizerCase('%s_%s' % (optimizer, name), optimizer, dict(plain, **more)) for name, more in rows]


SCHEDULERS = {
    'factor': Scheduler('FactorScheduler', dict(step=3, factor=0.5, base_lr=0.4)),
    'factor_once': Scheduler('FactorScheduler', dict(step=1)),
    'factor_stop': Scheduler('FactorScheduler', dict(step=2, factor=0.3, base_lr=0.4, stop_factor_lr=0.03)),
    'factor_stop_above': Scheduler('FactorScheduler', dict(step=4, factor=0.5, base_lr=0.1, stop_factor_lr=0.2)),
    'factor_linear': Scheduler('FactorScheduler', dict(
        step=3, factor=0.7, base_lr=0.4, warmup_steps=5, warmup_begin_lr=0.1)),
    'multi_factor': Scheduler('MultiFactorScheduler', dict(step=[2, 4, 9], factor=0.5, base_lr=0.3)),
    'multi_factor_constant': Scheduler('MultiFactorScheduler', dict(
        step=[2, 8, 20], factor=0.1, base_lr=0.3, warmup_steps=4, warmup_begin_lr=0.05, warmup_mode='constant')),
    'poly': Scheduler('PolyScheduler', dict(max_update=8, base_lr=0.3)),
    'poly_linear': Scheduler('PolyScheduler', dict(
        max_update=20, base_lr=0.3, pwr=1.5, final_lr=0.01, warmup_steps=6, warmup_begin_lr=0.02)),
    'cosine': Scheduler('CosineScheduler', dict(max_update=8, base_lr=0.3)),
    'cosine_slow': Scheduler('CosineScheduler', dict(max_update=8, base_lr=0.02)),
    'cosine_linear': Scheduler('CosineScheduler', dict(
        max_update=20, base_lr=0.3, final_lr=0.01, warmup_steps=3, warmup_begin_lr=0.02)),
    'cosine_constant': Scheduler('CosineScheduler', dict(
        max_update=12, base_lr=0.3, final_lr=0.05, warmup_steps=4, warmup_begin_lr=0.1, warmup_mode='constant')),
}
UPDATES = range(40)  # the numbers for which the rates of schedulers are recorded


def scheduled(scheduler, optimizer='sgd', **options):
    name = '%s_by_%s' % (optimizer, scheduler)
    return OptimizerCase(name, optimizer, options, SCHEDULERS[scheduler], named=optimizer == 'lars')


SGD = dict(learning_rate=0.1)
MOMENTUM = dict(learning_rate=0.1, momentum=0.9)
ADAM = dict(learning_rate=0.01)

OPTIMIZERS = [
    *variants('sgd', SGD, momentum=0.8),
    OptimizerCase('sgd_default', 'sgd'),
    OptimizerCase('sgd_momentum', 'sgd', MOMENTUM),
    OptimizerCase('sgd_multipliers', 'sgd', dict(MOMENTUM, wd=0.1),
                  lr_mult={'0.weight': 0.1, '2.bias': 0., '1.gamma': 2.}, wd_mult={'0.weight': 3., '1.beta': 0.}),
    OptimizerCase('sgd_set_rate', 'sgd', MOMENTUM, rates={3: 0.01, 6: 0.3}),
    OptimizerCase('sgd_begin', 'sgd', dict(begin_num_update=4), SCHEDULERS['factor']),
    *(scheduled(scheduler, momentum=0.9) for scheduler in SCHEDULERS),
    OptimizerCase('sgd_rate_and_factor', 'sgd', dict(learning_rate=0.2), SCHEDULERS['factor_linear']),
    OptimizerCase('sgd_rate_and_cosine', 'sgd', dict(learning_rate=0.2), SCHEDULERS['cosine_linear']),
    *variants('nag', MOMENTUM),
    OptimizerCase('nag_no_momentum', 'nag', SGD),
    *variants('signum', dict(learning_rate=0.003), momentum=0.7, wd_lh=0.2),
    OptimizerCase('signum_no_momentum', 'signum', dict(learning_rate=0.003, momentum=0., wd=0.1, clip_gradient=0.05)),
    *variants('dcasgd', SGD, lamda=2.),
    *(case._replace(named=True) for case in variants('lars', dict(learning_rate=0.1, momentum=0.9, eta=0.05), eps=0.1)),
    OptimizerCase('lars_no_momentum', 'lars', dict(learning_rate=0.2, eta=0.1, wd=0.01), named=True),
    OptimizerCase('lars_multipliers', 'lars', dict(learning_rate=0.2, eta=0.1, momentum=0.5, wd=0.1), named=True,
                  lr_mult={'0.weight': 0.1, '2.bias': 0.}, wd_mult={'0.weight': 3., '2.bias': 0.}),
    scheduled('factor', 'lars', momentum=0.9, eta=0.1),
    scheduled('factor', 'lars', momentum=0.9, eta=0.1, momentum_correction=False)._replace(name='lars_uncorrected'),
    *variants('adagrad', dict(learning_rate=0.05), eps=1e-3),
    *(case._replace(trained='.*weight') for case in variants('groupadagrad', dict(learning_rate=0.05), eps=1e-3)
      if 'wd' not in case.options),
    *variants('adadelta', {}, rho=0.8, epsilon=1e-4),
    OptimizerCase('adadelta_rate', 'adadelta', dict(learning_rate=7.)),
    *variants('rmsprop', ADAM, gamma1=0.8, epsilon=1e-4, clip_weights=0.5),
    OptimizerCase('rmsprop_centered', 'rmsprop', dict(ADAM, centered=True)),
    OptimizerCase('rmsprop_centered_all', 'rmsprop', dict(
        ADAM, centered=True, gamma1=0.8, gamma2=0.7, epsilon=1e-4, clip_weights=0.5, wd=0.1, clip_gradient=0.05)),
    *variants('adam', ADAM, beta1=0.8, beta2=0.9, epsilon=1e-4),
    OptimizerCase('adam_default', 'adam'),
    OptimizerCase('adam_no_memory', 'adam', dict(ADAM, beta1=0., epsilon=1e-3)),
    OptimizerCase('adam_begin', 'adam', dict(ADAM, begin_num_update=3)),
    OptimizerCase('adam_multipliers', 'adam', dict(ADAM, wd=0.1),
                  lr_mult={'0.weight': 0.1, '2.bias': 0.}, wd_mult={'0.weight': 3., '1.beta': 0.}),
    scheduled('factor', 'adam'),
    scheduled('cosine_slow', 'adam'),
    *variants('adamw', ADAM, beta1=0.8, beta2=0.9, epsilon=1e-4),
    OptimizerCase('adamw_uncorrected', 'adamw', dict(learning_rate=0.003, wd=0.1, correct_bias=False)),
    *variants('lamb', ADAM, beta1=0.8, beta2=0.9, epsilon=1e-4, lower_bound=1.5, upper_bound=2.),
    OptimizerCase('lamb_lower', 'lamb', dict(ADAM, lower_bound=1.5)),
    OptimizerCase('lamb_upper', 'lamb', dict(ADAM, upper_bound=1.5)),
    OptimizerCase('lamb_uncorrected', 'lamb', dict(ADAM, wd=0.1, bias_correction=False)),
    *variants('adamax', ADAM, beta1=0.8, beta2=0.9),
    *(case._replace(one_by_one=True)
      for case in variants('nadam', ADAM, beta1=0.8, beta2=0.9, epsilon=1e-4, schedule_decay=0.1)),
    *variants('ftml', ADAM, beta1=0.8, beta2=0.9, epsilon=1e-4),
    *variants('ftrl', {}, lamda1=0.05, learning_rate=0.3, beta=0.5),
    scheduled('factor', 'ftrl'),
]
