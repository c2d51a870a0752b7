"""Arguments by names that there are not: the error names the class or function, and what was meant."""

import jax
import numpy as np
import pytest

from gluonjax import (
    Trainer,
    callback,
    data,
    decoding,
    errors,
    generate,
    init,
    loss,
    lr_scheduler,
    make_step,
    metric,
    nn,
    optimizer,
    seed,
)
from gluonjax.hints import hints


def trained():
    net = nn.Sequential(nn.Dense(2, in_units=3))
    net.initialize(key=0)
    return net


def trainer(**options):
    return Trainer(nn.Sequential(nn.Dense(2)), loss.L2Loss(), 'sgd', key=0, **options)


@pytest.mark.parametrize(
    ('call', 'owner', 'remedy'),
    [
        (lambda: nn.Dense(3, activaton='relu'), 'Dense', 'activation='),
        (lambda: nn.Conv2D(3, 2, stride=2), 'Conv2D', 'strides='),
        (lambda: init.Normal(sgima=1), 'Normal', 'sigma='),
        (lambda: loss.L2Loss(wieght=1), 'L2Loss', 'weight='),
        (lambda: metric.TopKAccuracy(top=1), 'TopKAccuracy', 'top_k='),
        (lambda: callback.EarlyStopping(patince=3), 'EarlyStopping', 'patience='),
        (lambda: data.batches([1], batchsize=3), 'Batches', 'batch_size='),
        (lambda: trainer(acumulate=2), 'Trainer', 'accumulate='),
        (lambda: trainer().fit([1], [1], validation_split=0.1), 'fit', 'validation=0.1'),
        (lambda: trainer().fit([1], [1], verbose=0), 'fit', 'progress=False'),
        (lambda: trainer().evaluate([1], [1], batchsize=2), 'evaluate', 'batch_size='),
        (lambda: make_step(nn.Dense(2), loss.L2Loss(), 'sgd', metric=[]), 'make_step', 'metrics='),
        (lambda: generate(nn.Dense(2), [1], 2, topk=3), 'generate', 'top_k='),
        (lambda: nn.Sequential().load_parameters('a', allow_mising=True), 'load_parameters', 'allow_missing='),
        (lambda: nn.Sequential().save_program('a', platform=['cpu']), 'save_program', 'platforms='),
        (lambda: trainer().save('a', kep=1), 'save', 'keep='),
        (lambda: trainer().predict([1], batchsize=2), 'predict', 'batch_size='),
        (lambda: nn.Sequential().initialize(ctx=3), 'initialize', 'device='),
        (lambda: nn.Sequential().hybridize(activ=True), 'hybridize', 'active='),
        (lambda: nn.Sequential().collect_params(selct='.*'), 'collect_params', 'select='),
        (lambda: nn.Sequential().collect_params().initialize(verbos=True), 'initialize', 'verbose='),
        (lambda: nn.Sequential().visit(functon=print), 'visit', 'function='),
        (lambda: nn.Dense(2).cast(dtyp='float16'), 'cast', 'dtype='),
        (lambda: nn.Sequential(nn.Dense(2))[0].weight.set_data(valu=1), 'set_data', 'value='),
    ],
)
def test_an_unknown_argument_names_whose_it_is_and_the_near_one(call, owner, remedy):
    with pytest.raises(errors.KeywordError) as error:
        call()
    assert str(error.value).startswith(f'{owner} has no argument ')
    assert str(error.value).endswith(f'try: {remedy}')


@pytest.mark.parametrize(
    ('call', 'says'),
    [
        (
            lambda: nn.Sequential(nn.Dense(2, in_units=1)).initialize(force_reinit=np.ones(2)),
            'force_reinit must be a bool',
        ),
        (lambda: nn.Sequential().register_child(nn.Dense(2), name=3.5), r'name must be str \| None, got 3.5'),
        (lambda: init.Mixed(None, []), r'patterns must be Sequence\[str\], got None'),
        (lambda: optimizer.Ftrl(lr_scheduler=np.ones(2)), r'lr_scheduler must be Callable\[\[Any\], Any\] \| None'),
        (lambda: callback.Checkpoint('x', monitor=3), r'monitor must be str \| None, got 3'),
        (lambda: data.SequentialSampler(3, start='a'), "start must be an int, got 'a'"),
        (lambda: metric.CompositeEvalMetric(['acc']).update_dict(None, {}), r'label must be Mapping\[str, Any\]'),
        (lambda: nn.Sequential().hybridize('yes'), "active must be a bool, got 'yes'"),
        (lambda: trainer().step('text', [[1.0]]), r"batch\[0\] is no array of numbers[\s\S]*got: 'text'"),
        (lambda: trainer().predict(['text']), r'batch\[0\] is no array of numbers'),
        (lambda: setattr(trainer(), 'fit_state', 3), 'this is no fit_state'),
    ],
)
def test_a_call_that_fails_says_which_argument_was_of_another_type(call, says):
    with pytest.raises(errors.GluonError, match=says):
        call()


X = np.ones((2, 3), 'float32')


@pytest.mark.parametrize(
    ('call', 'says'),
    [
        (lambda: data.SimpleDataset([1, 2])['x'], "there is no sample 'x' of 2"),
        (lambda: data.ArrayDataset(X)[7], 'there is no sample 7 of 2'),
        (lambda: data.DataLoader({'a': 1}, 2), 'samples by number'),
        (lambda: data.DataLoader([1, 2], 2, batchify_fn=3), 'batchify_fn must be a function, got 3'),
        (lambda: data.SimpleDataset([1, 2]).transform(3), 'fn must be a function, got 3'),
        (lambda: data.SimpleDataset([1, 2]).transform_first(None), 'fn must be a function, got None'),
        (lambda: data.BatchSampler(3, 2), 'a BatchSampler takes a sampler'),
        (lambda: init.Normal()(0, (2,), 'nope'), "dtype must be .* got 'nope'"),
        (lambda: init.Normal()(0, 3), r'shape must be Sequence\[int\], got 3'),
        (
            lambda: list(data.batches(X, batch_size=2, shuffle=['a'])(0)),
            "a number of shuffle must be an int >= 0, got 'a'",
        ),
        (lambda: optimizer.with_learning_rate(optimizer.SGD().init({'a': X}), None), 'with_learning_rate cannot take'),
        (lambda: optimizer.SGD().init({'a': np.array(['x'])}), 'init cannot take these arguments'),
        (
            lambda: optimizer.SGD().update({'a': X[:1]}, optimizer.SGD(momentum=0.9).init({'a': X}), {'a': X}),
            'SGD needs the params of the gradients',
        ),
        (lambda: trainer().reset_carry(no_such=1), "reset_carry has no argument 'no_such'"),
        (lambda: trainer().prepare(np.array(['a']), X), r'batch\[0\] is no array of numbers'),
        (lambda: nn.Sequential(nn.Dense(2, in_units=3)).cast([]), 'this is no dtype'),
        (lambda: nn.Sequential().save_parameters(''), "a str or a path, got ''"),
        (lambda: nn.Sequential().save_parameters('.'), 'is no folder of arrays'),
        (lambda: data.vision.transforms.Cast()('abc'), 'could not convert string to float'),
        (lambda: lr_scheduler.FactorScheduler(2)(1j), 'cannot take these arguments'),
        (lambda: decoding.sample(jax.random.key(0), X, top_p=-1), 'top_p must be a number > 0 and <= 1, got -1'),
        (
            lambda: decoding.sample(jax.random.key(0), X, np.ones(2, np.float32)),
            r'sample cannot[\s\S]*got: key=.*shape \(2,\)',
        ),
        (lambda: decoding.keep_top_k(X, 0), 'top_k must be an int >= 1, got 0'),
        (lambda: nn.Conv2D(2, 2, padding=2**31), 'padding is too large'),
        (lambda: init.Bilinear()(0, 3), r'shape must be Sequence\[int\], got 3'),
        (lambda: init.Bilinear().init_weight(jax.random.key(0), None, 'float32', 'w'), 'shape must be .*, got None'),
        (lambda: init.Normal().init_weight(3, (2,), 'float32', 'w'), 'key must be'),
        (lambda: init.Zero()(0, (10**12, 10**12)), 'an array of this shape does not fit into memory'),
        (lambda: init.Zero()(0, (-1, 2)), 'sizes must be ints >= 0'),
        (lambda: nn.Sequential().export(3), 'a file name must be a str or a path, got 3'),
        (lambda: trained().setattr('lr_mult', jax.random.key(0)), 'lr_mult must be a finite number >= 0'),
        (lambda: trained()(memoryview(X)), 'is neither an array nor hashable'),
        (lambda: trained()(jax.ShapeDtypeStruct((2, 3), 'float32')), r'is called on arrays[\s\S]*net\.specs\(x\)'),
        (lambda: data.ArrayDataset({'a': 1}), 'ArrayDataset takes arrays, or lists\n  got: dict'),
        (lambda: data.ArrayDataset({1, 2}), 'ArrayDataset takes arrays, or lists\n  got: set'),
        (lambda: next(iter(data.DataLoader([[1, [2]], [3, [4]]], 2))), 'its lists have unequal lengths'),
        (lambda: make_step(nn.Dense(2), loss.L2Loss())({'a': 1}, (X, X)), 'a step takes its state first\n  got: dict'),
    ],
)
def test_values_that_cannot_be_used_are_refused_with_the_reason(call, says):
    with pytest.raises(errors.GluonError, match=says):
        call()


def test_the_reason_is_what_failed_and_its_error_the_cause():
    with pytest.raises(errors.ArgumentError, match='shapes') as caught:
        decoding.sample(jax.random.key(0), X, np.ones(5, np.float32))
    assert isinstance(caught.value.__cause__, (TypeError, ValueError))


def test_errors_of_functions_of_the_caller_stay():
    def fails(sample):
        raise KeyError('mine')

    with pytest.raises(KeyError, match='mine'):
        data.SimpleDataset([1]).filter(fails)
    with pytest.raises(ZeroDivisionError):
        data.SimpleDataset([0]).transform(lambda sample: 1 / sample, lazy=False)


def test_errors_of_others_stay_what_they_are():
    class Fails(callback.Callback):
        def on_fit_begin(self, trainer, state):
            raise ValueError('mine')

    with pytest.raises(ValueError, match=r'^mine$'):
        trainer().fit([[1.0]], [[1.0, 1.0]], callbacks=[Fails()], progress=False)


def test_a_parameter_refuses_operands_and_indices_that_are_none():
    net = nn.Sequential(nn.Dense(2, in_units=3))
    net.initialize(key=0)
    for call, kind in (
        (lambda weight: weight + 'a', errors.DTypeError),
        (lambda weight: None * weight, errors.DTypeError),
        (lambda weight: weight['a'], errors.DTypeError),
        (lambda weight: weight[7], errors.PositionError),
        (lambda weight: weight.__setitem__(0, 'a'), errors.GluonError),
        (lambda weight: setattr(weight, 'name', 'x'), errors.FrozenError),
    ):
        with pytest.raises(kind):
            call(net[0].weight)


def test_a_step_takes_no_names():
    for step in (trainer().step, trainer().step_with_output):
        with pytest.raises(errors.KeywordError, match=r"named \['label'\][\s\S]*trainer.step\({'x': x, 'label': y}\)"):
            step([[1.0]], label=[[1.0, 1.0]])


def test_missing_arguments_and_too_many():
    with pytest.raises(errors.KeywordError, match=r"Dense: missing a required argument: 'units'\n.*Dense\(units, act"):
        nn.Dense()
    with pytest.raises(TypeError, match='Dense: too many positional arguments'):
        nn.Dense(*range(9))


def test_arguments_of_other_libraries_are_known_by_what_they_are_called_here():
    assert all('=' in remedy for remedy in hints()['an argument'].values())


@pytest.mark.parametrize('pattern', ['(', 3])
def test_a_pattern_that_is_none_is_refused(pattern):
    net = nn.Sequential(nn.Dense(2))
    net.initialize(key=0)
    for call in (
        lambda: net.collect_params(pattern),
        lambda: trainer(train=pattern).step([[1.0]], [[1.0, 1.0]]),
        lambda: init.Mixed([pattern], ['zeros']).for_name('weight'),
    ):
        with pytest.raises(errors.PatternError, match='is no pattern'):
            call()


@pytest.mark.parametrize('value', ['abc', None, [[1], [1, 2]]])
def test_a_parameter_refuses_what_is_no_array(value):
    net = nn.Sequential(nn.Dense(2, in_units=3))
    net.initialize(key=0)
    before = net[0].weight.data()
    with pytest.raises(errors.DTypeError, match='cannot take'):
        net[0].weight.set_data(value)
    assert (net[0].weight.data() == before).all()


def test_the_name_of_an_optimizer_option_is_its_own_error():
    with pytest.raises(errors.ArgumentError, match='SGD has no option'):
        optimizer.SGD(lr=3)


@pytest.mark.parametrize(
    ('call', 'says'),
    [
        (lambda: generate(nn.Dense(2), 'hello', 2), 'encode texts as tokens'),
        (lambda: nn.Sequential(nn.Dense(2)).cast('float23'), 'this is no dtype'),
        (lambda: seed('one'), "a seed must be an int, got 'one'"),
        (lambda: metric.Perplexity(from_logits='yes'), "from_logits must be a bool, got 'yes'"),
        (lambda: metric.Accuracy(axis='last'), "axis must be an int, got 'last'"),
        (lambda: metric.create({'classes': 'accuracy'}), r"Accuracy\(output_names=\['classes'\]"),
        (lambda: init.Constant('one'), 'the constant is no array of numbers'),
        (lambda: init.Constant(None), 'the constant is no array of numbers'),
        (lambda: trainer(skip_nonfinite='yes'), "skip_nonfinite must be a bool, got 'yes'"),
        (lambda: trainer(remat=3), 'remat is no policy'),
        (lambda: trainer(carry='state'), 'carry= takes arrays'),
        (lambda: Trainer(nn.Sequential(nn.Dense(2)), loss.L2Loss(), 'sgd', 0.1), 'optimizer_params must be a dict'),
        (lambda: Trainer(nn.Sequential(nn.Dense(2)), lambda output: output), 'the loss takes other arguments'),
        (lambda: callback.CSVLogger(3), 'a file name must be a str or a path, got 3'),
        (lambda: callback.Checkpoint(None), 'a file name must be a str or a path, got None'),
        (lambda: nn.Repeat(nn.Dense(2), 10**30), 'n is too large'),
        (lambda: nn.Sequential().visit(3), 'visit takes a function of a network'),
        (lambda: nn.Sequential(nn.Flatten()).intermediates(np.ones((1, 2)), select='('), 'is no pattern'),
        (lambda: metric.CompositeEvalMetric(3), 'a composite metric takes a list of metrics'),
        (lambda: setattr(trainer(), 'learning_rate', 0.1), r'try: trainer.set_learning_rate\(0.01\)'),
        (lambda: setattr(trainer(), 'steps', 3), "'steps' of a Trainer cannot be assigned"),
        (lambda: setattr(trainer(), 'fit', 3), "'fit' of a Trainer cannot be assigned"),
        (lambda: setattr(trainer(), 'precision', 'bfloat16'), 'a Trainer keeps the precision that it was made with'),
        (lambda: setattr(trainer(), 'lr', 0.1), 'a Trainer keeps the lr that it was made with'),
        (lambda: nn.Sequential(nn.Dense(2))['0'], "the index of a layer must be an int, got '0'"),
        (lambda: nn.Sequential(nn.Dense(2))[0.0], 'the index of a layer must be an int, got 0.0'),
        (lambda: nn.Sequential(nn.Dense(2)).collect_params()['0.weigt'], "no parameter matches '0.weigt'"),
        (lambda: nn.Sequential(nn.Dense(2)).collect_params()[0], 'no parameter matches 0'),
        (lambda: nn.Sequential(nn.Dense(2)).setattr('lr_mutl', 0), 'try: lr_mult'),
        (lambda: nn.Dense(2, params=nn.Sequential(nn.Dense(2))[0].params), r'params=net\[0\] shares it'),
        (lambda: setattr(trainer(), 'state', {}), 'this is no state of a Trainer'),
        (lambda: trainer().restore(None), 'a file name must be a str or a path, got None'),
    ],
)
def test_a_wrong_value_is_refused_by_name(call, says):
    with pytest.raises(errors.GluonError, match=says):
        call()
