"""What is published is what is read."""

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec
import pydantic
import pytest
from hypothesis import given, strategies as st

from app.delivered import delivered
from hopmq.app.serialization import Encoded, Serialization
from hopmq.errors import EncodeError, UsageError

FORMATS = ["application/json", "application/msgpack"]
ENCODINGS = [None, "gzip", "zstd"]


class Colour(Enum):
    RED = "red"


class Struct(msgspec.Struct):
    number: int
    text: str
    when: datetime
    price: Decimal
    id: UUID
    colour: Colour = Colour.RED


class Model(pydantic.BaseModel):
    number: int
    text: str
    when: datetime
    price: Decimal
    id: UUID
    colour: Colour = Colour.RED


class Aliased(pydantic.BaseModel):
    text: str = pydantic.Field(alias="theText")


@dataclass
class Data:
    number: int
    text: str
    day: date
    structs: list[Struct]


@dataclass
class WithModel:
    model: Aliased


def read(encoded: Encoded, type_: Any) -> Any:
    message = delivered(
        encoded.body,
        content_type=encoded.content_type,
        content_encoding=encoded.content_encoding,
    )
    return Serialization().decoder(type_, "here")(message)


_INTEGERS = st.integers(-(2**63), 2**63 - 1)
_TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "number": _INTEGERS,
    "text": _TEXTS,
    "when": st.datetimes(timezones=st.just(UTC)),
    "price": st.decimals(allow_nan=False, allow_infinity=False),
    "id": st.uuids(),
}
_STRUCTS = st.builds(Struct, **_FIELDS)
_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | _INTEGERS
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(_TEXTS, inner),
    max_leaves=10,
)
VALUES: st.SearchStrategy[tuple[Any, Any]] = st.one_of(
    st.tuples(_JSON, st.just(Any)),
    st.tuples(_STRUCTS, st.just(Struct)),
    st.tuples(st.builds(Model, **_FIELDS), st.just(Model)),
    st.tuples(
        st.builds(
            Data,
            number=_INTEGERS,
            text=_TEXTS,
            day=st.dates(),
            structs=st.lists(_STRUCTS, max_size=3),
        ),
        st.just(Data),
    ),
    st.tuples(st.lists(st.builds(Aliased, theText=_TEXTS), max_size=3), st.just(list[Aliased])),
    st.tuples(st.builds(WithModel, st.builds(Aliased, theText=_TEXTS)), st.just(WithModel)),
    st.tuples(_TEXTS, st.just(str)),
    st.tuples(_INTEGERS, st.just(int)),
)


@given(VALUES, st.sampled_from(FORMATS), st.sampled_from(ENCODINGS))
def test_what_is_written_is_read(value: Any, content_type: str, encoding: str | None) -> None:
    payload, type_ = value
    encoded = Serialization().encode(payload, content_type=content_type, content_encoding=encoding)
    assert encoded[1:] == (content_type, encoding)
    again = read(encoded, type_)
    assert again == payload
    assert type(again) is type(payload)


@given(
    st.binary(),
    st.sampled_from([None, "image/png", "application/json"]),
    st.sampled_from(ENCODINGS),
)
def test_bytes_are_written_as_they_are(
    body: bytes, content_type: str | None, encoding: str | None
) -> None:
    encoded = Serialization().encode(body, content_type=content_type, content_encoding=encoding)
    assert encoded.content_type == (content_type or "application/octet-stream")
    assert read(encoded, bytes) == body


@pytest.mark.parametrize("body", [bytearray(b"abc"), memoryview(b"abc")])
def test_other_kinds_of_bytes_are_bytes(body: Any) -> None:
    assert Serialization().encode(body) == Encoded(b"abc", "application/octet-stream")


def test_a_text_is_json_unless_it_is_said_to_be_plain() -> None:
    serialization = Serialization()
    assert serialization.encode("é") == Encoded('"é"'.encode(), "application/json")
    plain = serialization.encode("é", content_type="text/plain")
    assert plain == Encoded("é".encode(), "text/plain")
    assert read(plain, str) == "é"


def test_a_content_type_keeps_its_spelling() -> None:
    encoded = Serialization().encode({"a": 1}, content_type="application/vnd.order+json")
    assert encoded == Encoded(b'{"a":1}', "application/vnd.order+json")
    assert read(encoded, dict) == {"a": 1}


def test_models_are_written_by_their_aliases() -> None:
    assert Serialization().encode(Aliased(theText="x")).body == b'{"theText":"x"}'


@pytest.mark.parametrize("content_type", FORMATS)
@pytest.mark.parametrize("value", [object(), lambda: 1, {1, object()}, "\ud800", [object()]])
def test_what_has_no_form_is_an_encode_error(value: Any, content_type: str) -> None:
    with pytest.raises(EncodeError, match="cannot be written as "):
        Serialization().encode(value, content_type=content_type)


@pytest.mark.parametrize(
    "value, content_type",
    [(5, "text/plain"), ("\ud800", "text/plain"), ("text", "application/octet-stream")],
)
def test_what_is_of_another_format_is_an_encode_error(value: Any, content_type: str) -> None:
    with pytest.raises(EncodeError):
        Serialization().encode(value, content_type=content_type)


def test_a_circle_is_an_encode_error() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(EncodeError, match="nested too deeply"):
        Serialization().encode(circle)


@pytest.mark.parametrize("content_type", ["application/x-python-pickle", "nonsense"])
def test_a_format_that_nobody_knows_is_a_usage_error(content_type: str) -> None:
    with pytest.raises(UsageError, match=r"is not known; known are application/json, "):
        Serialization().encode({}, content_type=content_type)
    with pytest.raises(UsageError, match="is not known"):
        Serialization(default=content_type)


def test_an_encoding_that_nobody_knows_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="'br' is not known; gzip and zstd are"):
        Serialization().encode({}, content_encoding="br")


def test_packed_bodies_are_the_same_each_time() -> None:
    body = Serialization().encode("x", content_encoding="gzip").body
    assert body[4:8] == bytes(4)  # MTIME (RFC 1952, 2.3)


class Csv:
    """A serializer of a user's own."""

    content_type = "text/csv"

    def encode(self, value: Any, /) -> bytes:
        return ",".join(value).encode()

    def decoder(self, type_: Any, /) -> Any:
        return lambda body: type_(body.decode().split(","))


def test_a_serializer_of_ones_own_reads_and_writes_its_content_type() -> None:
    serialization = Serialization(Csv(), default="text/csv")
    encoded = serialization.encode(["a", "b"])
    assert encoded == Encoded(b"a,b", "text/csv")
    message = delivered(b"a,b", content_type=None)
    assert serialization.decoder(tuple, "here")(message) == ("a", "b")
    with pytest.raises(
        EncodeError, match="list cannot be written as text/csv: TypeError: sequence item 0"
    ):
        serialization.encode([1])


def test_a_serializer_of_ones_own_replaces_the_one_that_is_built_in() -> None:
    class Shouting(Csv):
        content_type = "application/json"

    assert Serialization(Shouting()).encode(["a", "b"]).body == b"a,b"


def test_numbers_that_json_does_not_have_are_null() -> None:
    assert Serialization().encode(math.nan).body == b"null"


@pytest.mark.parametrize("content_type", FORMATS)
def test_secrets_stay_secret(content_type: str) -> None:
    class Account(pydantic.BaseModel):
        password: pydantic.SecretStr
        key: pydantic.SecretBytes

    account = Account(password=pydantic.SecretStr("hidden"), key=pydantic.SecretBytes(b"hidden"))
    encoded = Serialization().encode(account, content_type=content_type)
    read = Serialization().decoder(dict[str, str], "the payload")
    message = delivered(encoded.body, content_type=content_type)
    assert read(message) == {"password": "*" * 10, "key": "*" * 10}
