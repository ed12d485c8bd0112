"""Without pydantic and msgspec what JSON itself has is read; the rest names what to install."""

import re
import sys
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

import pydantic
import pytest

from app.delivered import context_of, delivered
from app.serialization.test_reading import READ
from hopmq.app.errors import DeclarationError, PayloadError
from hopmq.app.injection import AppScope, Header, compile_handler
from hopmq.app.serialization import Serialization
from hopmq.errors import EncodeError, UsageError


@dataclass
class Data:
    id: int


class Typed(TypedDict):
    id: int


class Model(pydantic.BaseModel):
    id: int


@pytest.fixture
def no_msgspec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "msgspec", None)


@pytest.fixture
def no_pydantic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydantic", None)
    monkeypatch.setitem(sys.modules, "pydantic_core", None)


@pytest.fixture
def nothing(no_msgspec: None, no_pydantic: None) -> None:
    pass


SIMPLE: list[tuple[Any, bytes, Any]] = [
    (dict, b'{"a": [1]}', {"a": [1]}),
    (dict[str, Any], b'{"a": 1}', {"a": 1}),
    (dict[str, list[int]], b'{"a": [1]}', {"a": [1]}),
    (list[float], b"[1, 2.5]", [1.0, 2.5]),
    (list, b'[1, "a"]', [1, "a"]),
    (int | None, b"null", None),
    (str | list[str], b'["a"]', ["a"]),
    (bool, b"true", True),
    (None, b"null", None),
    (Any, b"{}", {}),
]


@pytest.mark.usefixtures("nothing")
@pytest.mark.parametrize("type_, body, value", SIMPLE, ids=str)
def test_what_json_has_is_read(type_: Any, body: bytes, value: Any) -> None:
    read = Serialization().decoder(type_, "here")(delivered(body))
    assert read == value
    assert type(read) is type(value)


OF_EITHER = [each for each in READ if not re.search("Struct|Typed", str(each[0]))]
"""Structs are msgspec's, and pydantic wants TypedDict of typing_extensions before Python 3.12."""

WRONG: list[tuple[Any, bytes, str]] = [
    (dict, b"[]", r"Expected dict, got list - at \$"),
    (dict[str, list[int]], b'{"a": [1, "2"]}', r"Expected int, got str - at \$\.a\[1\]"),
    (list[float], b'["1"]', r"Expected float, got str - at \$\[0\]"),
    (int, b"true", "Expected int, got bool"),
    (int | None, b'"a"', r"Expected int \| None, got str"),
    (str, b"{", "the body is no str: Expecting property name"),
    (list, b"[" * 100_000, "nested too deeply"),
]


@pytest.mark.usefixtures("nothing")
@pytest.mark.parametrize("type_, body, reason", WRONG)
def test_what_is_not_of_the_type_is_a_payload_error(type_: Any, body: bytes, reason: str) -> None:
    with pytest.raises(PayloadError, match=reason):
        Serialization().decoder(type_, "here")(delivered(body))


@pytest.mark.usefixtures("nothing")
@pytest.mark.parametrize(
    "type_", [Data, Typed, list[Data], dict[int, int], tuple[int, int], Data | None]
)
def test_what_takes_a_library_is_an_error_at_start_that_names_it(type_: Any) -> None:
    with pytest.raises(
        DeclarationError, match=r"here: nobody reads .*pip install 'hopmq\[pydantic\]'"
    ):
        Serialization().decoder(type_, "here")


@pytest.mark.usefixtures("nothing")
@pytest.mark.parametrize("value", [{"a": [1, None, "é"]}, "text", 1.5])
def test_what_json_has_is_written(value: Any) -> None:
    encoded = Serialization().encode(value)
    assert Serialization().decoder(Any, "here")(delivered(encoded.body)) == value


@pytest.mark.usefixtures("nothing")
def test_dataclasses_are_written() -> None:
    assert Serialization().encode([Data(1)]).body == b'[{"id":1}]'


@pytest.mark.usefixtures("nothing")
@pytest.mark.parametrize("value", [object(), float("nan"), Data])
def test_what_has_no_form_is_an_encode_error(value: Any) -> None:
    with pytest.raises(EncodeError):
        Serialization().encode(value)


@pytest.mark.usefixtures("nothing")
async def test_headers_are_converted_all_the_same() -> None:
    async def handler(number: Annotated[int, Header("number")]) -> int:
        return number

    handle = compile_handler(
        handler, name="here", serialization=Serialization(), app_scope=AppScope()
    )
    for given in (5, "5"):
        assert await handle(context_of(delivered(headers={"number": given}))) == 5
    for given in ("x", None, [1]):
        with pytest.raises(PayloadError, match="header 'number'"):
            await handle(context_of(delivered(headers={"number": given})))


@pytest.mark.usefixtures("no_msgspec")
@pytest.mark.parametrize("type_, body, value", OF_EITHER, ids=str)
def test_pydantic_alone_reads_what_msgspec_would(type_: Any, body: bytes, value: Any) -> None:
    assert Serialization().decoder(type_, "here")(delivered(body)) == value


@pytest.mark.parametrize("type_", [Data, dict[str, int], list[int]])
@pytest.mark.parametrize("missing", ["msgspec", "pydantic"])
def test_types_of_nobody_are_read_strictly_by_either(
    type_: Any, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    body = b'["1"]' if type_ == list[int] else b'{"id": "1"}'
    with pytest.raises(PayloadError):
        Serialization().decoder(type_, "here")(delivered(body))


@pytest.mark.usefixtures("no_msgspec")
def test_message_pack_needs_msgspec() -> None:
    with pytest.raises(EncodeError, match=r"pip install 'hopmq\[msgspec\]'"):
        Serialization().encode({}, content_type="application/msgpack")
    with pytest.raises(PayloadError, match=r"pip install 'hopmq\[msgspec\]'"):
        Serialization().decoder(Model, "here")(
            delivered(b"\x80", content_type="application/msgpack")
        )


@pytest.mark.usefixtures("no_msgspec")
def test_pydantic_alone_writes() -> None:
    encode = Serialization().encode
    assert encode([Data(1), Model(id=2)]).body == b'[{"id":1},{"id":2}]'
    assert encode(Model(id=2)).body == b'{"id":2}'


@pytest.mark.usefixtures("no_pydantic")
def test_msgspec_alone_writes() -> None:
    assert Serialization().encode([Data(1)]).body == b'[{"id":1}]'
    with pytest.raises(EncodeError, match="object is not known to msgspec"):
        Serialization().encode(object())


def test_zstd_needs_a_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    monkeypatch.setitem(sys.modules, "compression", None)
    with pytest.raises(UsageError, match=r"pip install 'hopmq\[zstd\]'"):
        Serialization().encode({}, content_encoding="zstd")
    with pytest.raises(PayloadError, match=r"pip install 'hopmq\[zstd\]'"):
        Serialization().decoder(dict, "here")(delivered(b"{}", content_encoding="zstd"))


def test_no_module_of_serialization_can_unpickle() -> None:
    from pathlib import Path

    from hopmq.app import serialization

    folder = Path(serialization.__file__).parent
    assert not [path for path in folder.rglob("*.py") if "import pickle" in path.read_text()]
