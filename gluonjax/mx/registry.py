"""`mx.registry`: classes by name, for programs with factories of their own."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from typing import Any

from gluonjax.errors import ArgumentError
from gluonjax.mx.entry import explain_calls

_REGISTRY: dict[type, dict[str, type]] = {}


def get_registry(base_class: type) -> dict[str, type]:
    """A copy of the classes that are registered for a base, by name."""
    return dict(_REGISTRY.get(base_class, {}))


def get_register_func(base_class: type, nickname: str) -> Callable[..., Any]:
    """A decorator that registers a class by its name in lower case, or by another.

    >>> class Animal: ...
    >>> register, create = get_register_func(Animal, 'animal'), get_create_func(Animal, 'animal')
    >>> @register
    ... class Cat(Animal): ...
    >>> type(create('cat')).__name__, type(create(animal='Cat')).__name__
    ('Cat', 'Cat')
    """
    known = _REGISTRY.setdefault(base_class, {})

    def register(klass: type, name: str | None = None) -> type:
        if not issubclass(klass, base_class):
            raise ArgumentError(f'a {nickname} is a subclass of {base_class.__name__}', got=klass.__name__)
        key = (name or klass.__name__).lower()
        if key in known:
            before = f'{known[key].__module__}.{known[key].__name__}'
            warnings.warn(f'the {nickname} {key} was {before}, and is {klass.__module__} now', stacklevel=2)
        known[key] = klass
        return klass

    return register


def get_alias_func(base_class: type, nickname: str) -> Callable[..., Any]:
    """A decorator that registers a class by several names."""
    register = get_register_func(base_class, nickname)

    def alias(*aliases: str) -> Callable[[type], type]:
        def decorate(klass: type) -> type:
            for name in aliases:
                register(klass, name)
            return klass

        return decorate

    return alias


def get_create_func(base_class: type, nickname: str) -> Callable[..., Any]:
    """A function from a name and arguments, a dict, MXNet's JSON of them, or an instance, to an instance."""

    def create(*args: Any, **kwargs: Any) -> Any:
        name, *rest = args if args else (kwargs.pop(nickname),)
        if isinstance(name, base_class):
            return name
        if isinstance(name, dict):
            return create(**name)
        if not isinstance(name, str):
            raise ArgumentError(f'{nickname} must be a name or a {base_class.__name__}', got=type(name).__name__)
        if name.startswith('['):
            given, options = json.loads(name)
            return create(given, **options)
        if name.startswith('{'):
            return create(**json.loads(name))
        known = _REGISTRY.get(base_class, {})
        if name.lower() not in known:
            raise ArgumentError(f'no {nickname} {name!r} is registered', expected=', '.join(known) or 'some class')
        return known[name.lower()](*rest, **kwargs)

    return create


explain_calls(globals())
