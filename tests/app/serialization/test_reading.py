"""Bodies are read as what was asked for, by their content type."""

from dataclasses import dataclass
from typing import Any, Literal, TypedDict

import msgspec
import pydantic
import pytest

from app.delivered import delivered
from hopmq.app.errors import DeclarationError, PayloadError
from hopmq.app.serialization import Serialization


class Struct(msgspec.Struct):
    id: int


class Model(pydantic.BaseModel):
    id: int


@dataclass
class Data:
    id: int


@dataclass
class WithModel:
    model: Model


class Typed(TypedDict):
    id: int


READ: list[tuple[Any, bytes, Any]] = [
    (Struct, b'{"id": 1}', Struct(1)),
    (Model, b'{"id": 1}', Model(id=1)),
    (Data, b'{"id": 1}', Data(1)),
    (WithModel, b'{"model": {"id": 1}}', WithModel(Model(id=1))),
    (Typed, b'{"id": 1}', {"id": 1}),
    (list[Struct], b'[{"id": 1}]', [Struct(1)]),
    (list[Model], b'[{"id": 1}]', [Model(id=1)]),
    (Struct | None, b"null", None),
    (Model | int, b"5", 5),
    (Data | WithModel, b'{"id": 1}', Data(1)),
    (dict, b'{"id": 1}', {"id": 1}),
    (dict[str, int], b'{"id": 1}', {"id": 1}),
    (list, b"[1]", [1]),
    (str, b'"text"', "text"),
    (int, b"1", 1),
    (float, b"1", 1.0),
    (bool, b"true", True),
    (Literal["a", "b"], b'"a"', "a"),
    (Any, b"[null]", [None]),
    (object, b"[null]", [None]),
    (None, b"null", None),
]


@pytest.mark.parametrize("type_, body, value", READ, ids=str)
def test_json_is_read_as_a_type(type_: Any, body: bytes, value: Any) -> None:
    assert Serialization().decoder(type_, "here")(delivered(body)) == value


@pytest.mark.parametrize("type_, body, value", READ, ids=str)
def test_message_pack_is_read_as_a_type(type_: Any, body: bytes, value: Any) -> None:
    packed = msgspec.msgpack.encode(msgspec.json.decode(body))
    message = delivered(packed, content_type="application/msgpack")
    assert Serialization().decoder(type_, "here")(message) == value


@pytest.mark.parametrize("type_", [Model, list[Model], WithModel])
def test_what_has_a_model_is_read_by_its_rules(type_: Any) -> None:
    bodies = {Model: b'{"id": "1"}', WithModel: b'{"model": {"id": "1"}}'}
    read = Serialization().decoder(type_, "here")(delivered(bodies.get(type_, b'[{"id": "1"}]')))
    assert read in (Model(id=1), WithModel(Model(id=1)), [Model(id=1)])


@pytest.mark.parametrize(
    "content_type",
    [None, "", "application/json; charset=utf-8", "Application/JSON", "application/vnd.order+json"],
)
def test_json_goes_by_several_names(content_type: str | None) -> None:
    message = delivered(b'{"id": 1}', content_type=content_type)
    assert Serialization().decoder(Struct, "here")(message) == Struct(1)


@pytest.mark.parametrize("content_type", [None, "text/plain", "image/png", "nonsense"])
def test_bytes_are_the_body_whatever_its_type(content_type: str | None) -> None:
    message = delivered(b"\xff\x00", content_type=content_type)
    assert Serialization().decoder(bytes, "here")(message) == b"\xff\x00"


@pytest.mark.parametrize("type_", [str, str | None, Any, object])
def test_a_text_is_read_as_what_a_text_is(type_: Any) -> None:
    message = delivered("grün".encode(), content_type="text/plain; charset=UTF-8")
    assert Serialization().decoder(type_, "here")(message) == "grün"


def test_octets_are_read_as_anything() -> None:
    message = delivered(b"\xff", content_type="application/octet-stream")
    assert Serialization().decoder(Any, "here")(message) == b"\xff"


@pytest.mark.parametrize(
    "content_type, reason",
    [
        (
            "text/plain",
            "text/plain is not read as Struct, .*application/json.* is: a text is no Struct",
        ),
        (
            "text/html",
            "'text/html' is not known; for Struct application/json, application/msgpack is",
        ),
        ("application/json; charset=latin-1", "the body is latin-1, not UTF-8"),
    ],
)
def test_a_content_type_that_nobody_reads_is_a_payload_error(
    content_type: str, reason: str
) -> None:
    decode = Serialization().decoder(Struct, "here")
    for _ in range(2):
        with pytest.raises(PayloadError, match=reason):
            decode(delivered(b'{"id": 1}', content_type=content_type))


@pytest.mark.parametrize("type_", [Serialization, list[Serialization], 5, "Struct"])
def test_a_type_that_nobody_reads_is_an_error_at_start(type_: Any) -> None:
    with pytest.raises(DeclarationError, match=r"^on_order: parameter 'x': nobody reads "):
        Serialization().decoder(type_, "on_order: parameter 'x'")


def test_a_default_of_another_format_reads_what_has_no_type() -> None:
    decode = Serialization(default="text/plain").decoder(str, "here")
    assert decode(delivered(b"plain", content_type=None)) == "plain"
    assert decode(delivered(b'"json"', content_type="application/json")) == "json"
