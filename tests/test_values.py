"""Values behave as the dataclasses that they stand for."""

from dataclasses import FrozenInstanceError, dataclass, field, replace

import pytest

from hopmq.values import Value


@dataclass(slots=True, frozen=True, kw_only=True, eq=False, repr=False)
class Login(Value):
    user: str
    password: str = field(default="", repr=False)
    source: str = field(default="", compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class Generated:
    user: str
    password: str = field(default="", repr=False)
    source: str = field(default="", compare=False)


@dataclass(slots=True, frozen=True, kw_only=True, eq=False, repr=False)
class Token(Login):
    pass


def test_fields_are_compared_unless_they_are_not_to_be() -> None:
    assert Login(user="a", source="x") == Login(user="a", source="y")
    assert Login(user="a", password="x") != Login(user="a", password="y")
    assert Login(user="a") != Token(user="a")
    assert Login(user="a") != Generated(user="a")


def test_equal_values_have_one_hash() -> None:
    assert len({Login(user="a", source="x"), Login(user="a", source="y"), Login(user="b")}) == 2


def test_what_is_secret_is_not_shown() -> None:
    shown = repr(Login(user="a", password="secret", source="x"))
    assert shown == repr(Generated(user="a", password="secret", source="x")).replace(
        "Generated", "Login"
    )


def test_they_are_frozen_and_replaced_as_others_are() -> None:
    login = Login(user="a")
    assert replace(login, user="b") == Login(user="b")
    with pytest.raises(FrozenInstanceError):
        login.user = "b"  # type: ignore[misc]
