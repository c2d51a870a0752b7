"""Checkpoints that are damaged, disks that are full, several writers in one folder."""

import json
import os
import threading
import warnings

import jax
import numpy as np
import pytest

from gluonjax import Trainer, errors, init, loss, nn
from gluonjax.io import checkpoint

X, Y = np.eye(4, dtype='float32'), np.array([0, 1, 2, 0])


def trainer_of(key=0, **options):
    net = nn.Sequential(nn.Dense(5), nn.Dense(3))
    net.initialize(init.Xavier(), key=key)
    return Trainer(net, loss.SoftmaxCELoss(), 'adam', key=key, **options)


def numbers(trainer):
    return {name: np.asarray(p.data()) for name, p in trainer.net.collect_params().items()}


@pytest.fixture
def folder(tmp_path):
    """Two saves, after one step and after two."""
    trainer = trainer_of()
    for _ in range(2):
        trainer.step(X, Y)
        trainer.save(tmp_path, keep=None)
    return tmp_path


def files_of(place):
    return sorted(path for path in place.rglob('*') if path.is_file())


DAMAGES = {
    'lost': lambda path: path.unlink(),
    'empty': lambda path: path.write_bytes(b''),
    'truncated': lambda path: path.write_bytes(path.read_bytes()[:-1]),
    'changed': lambda path: path.write_bytes(path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1])),
}


@pytest.mark.parametrize('damage', DAMAGES)
def test_the_newest_whole_save_is_taken_and_the_damaged_file_is_named(folder, damage):
    (newest,) = folder.glob('*-step-2')
    expected = trainer_of()
    expected.restore(folder, step=1)
    chosen = [path for path in files_of(newest) if path.stat().st_size or damage != 'empty'][::3]
    for path in chosen:
        kept = path.read_bytes()
        if damage == 'lost' or kept:
            DAMAGES[damage](path)
            trainer = trainer_of(key=1)
            with pytest.warns(UserWarning, match=r'(?s)damaged.*step-2.*an older one is taken'):
                trainer.restore(folder)
            assert trainer.steps == 1
            jax.tree.map(np.testing.assert_array_equal, numbers(trainer), numbers(expected))
            before = numbers(trainer)
            with pytest.raises(errors.CheckpointError, match=r'(?s)is damaged: .*step-2') as caught:
                trainer.restore(folder, step=2)
            assert path.name in str(caught.value) or path.name == 'files.json'
            assert str(caught.value).count('is damaged') == 1
            jax.tree.map(np.testing.assert_array_equal, numbers(trainer), before)
            path.write_bytes(kept)
    trainer = trainer_of(key=1)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        trainer.restore(folder)
    assert trainer.steps == 2


@pytest.mark.parametrize('text', [None, '', '[]', '{}', '{"a": [1]}', '{"../x": [1, 2]}', '3'])
def test_a_list_of_files_that_is_lost_or_none(folder, text):
    (newest,) = folder.glob('*-step-2')
    (newest / 'files.json').unlink()
    if text is not None:
        (newest / 'files.json').write_text(text)
    trainer = trainer_of(key=1)
    with pytest.warns(UserWarning, match='an older one is taken'):
        trainer.restore(folder)
    assert trainer.steps == 1
    with pytest.raises(errors.CheckpointError, match=r'is damaged: .*(files\.json|a|x)'):
        trainer.restore(folder, step=2)


def test_a_checkpoint_that_several_processes_wrote_has_no_list_of_files(folder):
    (newest,) = folder.glob('*-step-2')
    (newest / 'files.json').unlink()
    record = newest / 'record' / 'metadata'
    record.write_text(record.read_text().replace('"processes": 1', '"processes": 2'))
    trainer = trainer_of(key=1)
    trainer.restore(folder)
    assert trainer.steps == 2


def test_strays_are_passed_over(folder):
    (folder / '000009-step-9').write_text('a file')
    (folder / '.unfinished-elsewhere-1-ab').write_text('a file')
    (folder / '000010-step-3.orbax-checkpoint-tmp-1').write_text('a file')
    trainer = trainer_of(key=1)
    trainer.restore(folder)
    assert trainer.steps == 2
    trainer.step(X, Y)
    trainer.save(folder)
    again = trainer_of(key=2)
    again.restore(folder)
    assert again.steps == 3


def test_a_full_disk_leaves_what_was_saved_and_nothing_else(folder, monkeypatch):
    trainer = trainer_of()
    trainer.step(X, Y)
    before = sorted(os.listdir(folder))

    def full(place):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(checkpoint, '_files', full)
    with pytest.raises(errors.CheckpointError, match=r'(?s)could be written.*No space left.*disk is not full'):
        trainer.save(folder)
    assert sorted(os.listdir(folder)) == before


def test_a_folder_that_is_a_file(tmp_path):
    trainer = trainer_of()
    trainer.step(X, Y)
    (tmp_path / 'file').write_text('')
    with pytest.raises(errors.CheckpointError, match='could be written'):
        trainer.save(tmp_path / 'file')


def test_several_writers_in_one_folder(tmp_path):
    trainers = [trainer_of(key) for key in range(3)]
    for steps, trainer in enumerate(trainers, 1):
        for _ in range(steps):
            trainer.step(X, Y)
    failures = []

    def write(trainer):
        try:
            for _ in range(3):
                trainer.save(tmp_path, keep=2)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=[trainer]) for trainer in trainers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    left = sorted(place.name for place in tmp_path.iterdir())
    assert 1 <= len(left) <= 4
    assert all(json.loads((tmp_path / name / 'files.json').read_text()) for name in left)
    restored = trainer_of(key=9)
    restored.restore(tmp_path)
    jax.tree.map(np.testing.assert_array_equal, numbers(restored), numbers(trainers[restored.steps - 1]))


@pytest.mark.parametrize('skips', [False, True])
def test_with_or_without_skip_nonfinite(tmp_path, skips):
    trainer, other = trainer_of(skip_nonfinite=skips), trainer_of(key=1, skip_nonfinite=not skips)
    trainer.step(X, Y)
    trainer.save(tmp_path)
    other.restore(tmp_path)
    assert np.isfinite(float(other.step(X, Y)))
    assert other.steps == 2
