"""The public surface: small, complete, documented."""

import inspect

import hopmq


def test_there_are_at_most_50_public_names() -> None:
    assert len(hopmq.__all__) <= 50


def test_every_public_name_exists_once() -> None:
    assert sorted(set(hopmq.__all__)) == sorted(hopmq.__all__)
    assert all(hasattr(hopmq, name) for name in hopmq.__all__)


def test_every_public_class_and_function_has_a_docstring() -> None:
    things = [getattr(hopmq, name) for name in hopmq.__all__]
    documented = [each for each in things if inspect.isclass(each) or inspect.isfunction(each)]
    members = [
        member
        for each in documented
        if inspect.isclass(each) and not issubclass(each, (tuple, dict))
        for name, member in vars(each).items()
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property))
    ]
    assert len(documented) > 30
    assert [each for each in [*documented, *members] if not inspect.getdoc(each)] == []


def test_public_errors_are_one_tree() -> None:
    errors = [
        each
        for each in vars(hopmq.errors).values()
        if inspect.isclass(each) and issubclass(each, BaseException)
    ]
    assert len(errors) > 30
    assert all(issubclass(each, hopmq.HopMQError) for each in errors)


def test_the_version_is_a_version() -> None:
    assert all(part.isdigit() for part in hopmq.__version__.split(".")[:2])


def test_the_codec_in_use_is_told_and_explained() -> None:
    assert isinstance(hopmq.speedups_enabled, bool)
    assert hopmq.speedups_reason
