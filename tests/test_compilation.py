"""enable_compilation_cache: what it refuses; its doctest shows that programs are kept."""

import pytest

import gluonjax
from gluonjax import errors


def test_what_is_no_folder_or_no_time(tmp_path):
    (tmp_path / 'file').write_text('')
    for path in (tmp_path / 'file', 3):
        with pytest.raises(errors.ArgumentError, match='this can be none'):
            gluonjax.enable_compilation_cache(path)
    with pytest.raises(errors.ArgumentError, match='min_seconds must be a number >= 0, got -1'):
        gluonjax.enable_compilation_cache(tmp_path, min_seconds=-1)
