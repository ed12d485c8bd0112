"""Bodies are limited before and after they are unpacked, and hostile ones are payload errors."""

import gzip
import tracemalloc
import zlib
from dataclasses import dataclass
from typing import Any

import msgspec
import pydantic
import pytest
import zstandard
from hypothesis import given, strategies as st

from app.delivered import delivered
from hopmq.app.errors import PayloadError
from hopmq.app.serialization import Serialization, SizeLimits, compression
from hopmq.app.serialization.reasons import MAX_LENGTH
from hopmq.errors import UsageError

MIB = 1024 * 1024
ENCODINGS = ["gzip", "zstd"]


class Struct(msgspec.Struct):
    id: int
    inner: "Struct | None" = None


class Model(pydantic.BaseModel):
    id: int
    inner: "Model | None" = None


@dataclass
class Data:
    id: int


TYPES: list[Any] = [Struct, Model, Data, dict, list[Model], Any, str, int, Struct | None]
CONTENT_TYPES = [None, "application/json", "application/msgpack", "text/plain"]


def reads(type_: Any, **limits: int) -> Any:
    return Serialization(limits=SizeLimits(**limits)).decoder(type_, "here")


# --- sizes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("type_", [bytes, str])
def test_a_body_of_the_limit_is_read_and_one_byte_more_is_not(type_: Any) -> None:
    decode = reads(type_, max_body=10)
    assert len(decode(delivered(b"x" * 10, content_type="text/plain"))) == 10
    with pytest.raises(PayloadError, match=r"the body has 11 bytes, 10 are let in \(max_body\)"):
        decode(delivered(b"x" * 11, content_type="text/plain"))


def packed(body: bytes, encoding: str) -> bytes:
    return compression.compress(body, encoding)


def without_size(body: bytes) -> bytes:
    """Pack as a stream does, which does not know its size at the beginning."""
    packing = zstandard.ZstdCompressor().compressobj()
    return packing.compress(body) + packing.flush()


PACKERS: list[Any] = [
    pytest.param(lambda body: packed(body, "gzip"), "gzip", id="gzip"),
    pytest.param(lambda body: packed(body, "zstd"), "zstd", id="zstd"),
    pytest.param(without_size, "zstd", id="zstd-stream"),
]


@pytest.mark.parametrize("pack, encoding", PACKERS)
@given(body=st.binary(max_size=3000), limit=st.integers(1, 3000))
def test_what_is_unpacked_never_exceeds_its_limit(
    pack: Any, encoding: str, body: bytes, limit: int
) -> None:
    if len(body) <= limit:
        assert compression.decompress(pack(body), encoding, limit) == body
    else:
        with pytest.raises(PayloadError, match=f"larger than {limit} bytes when unpacked"):
            compression.decompress(pack(body), encoding, limit)


@pytest.mark.parametrize("pack, encoding", PACKERS)
def test_a_bomb_takes_no_more_memory_than_its_limit(pack: Any, encoding: str) -> None:
    bomb = pack(bytes(64 * MIB))
    assert len(bomb) < 100_000
    tracemalloc.start()
    try:
        with pytest.raises(PayloadError, match="when unpacked"):
            compression.decompress(bomb, encoding, MIB)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * MIB


def test_a_bomb_of_many_members_is_found() -> None:
    with pytest.raises(PayloadError, match="when unpacked"):
        compression.decompress(packed(bytes(MIB), "gzip") * 10, "gzip", 2 * MIB)


def test_members_one_after_another_are_one_body() -> None:
    assert compression.decompress(packed(b"a", "gzip") + packed(b"b", "gzip"), "gzip", 10) == b"ab"


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(data=st.data())
def test_what_is_cut_or_altered_is_a_payload_error_or_something_within_the_limit(
    encoding: str, data: st.DataObject
) -> None:
    body = bytearray(packed(b"some text, some more text" * 20, encoding))
    at = data.draw(st.integers(0, len(body) - 1))
    if data.draw(st.booleans()):
        del body[at:]
    else:
        body[at] ^= data.draw(st.integers(1, 255))
    try:
        assert len(compression.decompress(bytes(body), encoding, 1000)) <= 1000
    except PayloadError:
        pass


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    "harm", [lambda body: body[:-5], lambda body: body + b"more", lambda _: b"{}"]
)
def test_what_is_not_of_its_encoding_is_a_payload_error(encoding: str, harm: Any) -> None:
    body = harm(packed(b'{"id": 1}' * 10, encoding))
    with pytest.raises(PayloadError, match=f"the body is not {encoding}"):
        reads(Struct)(delivered(body, content_encoding=encoding))


@pytest.mark.parametrize("first", [b"", b"a"])
def test_what_follows_a_frame_is_a_payload_error(first: bytes) -> None:
    body = packed(first, "zstd") + packed(b"lost", "zstd")
    with pytest.raises(PayloadError, match="the body is not zstd"):
        compression.decompress(body, "zstd", 1000)


@pytest.mark.parametrize("encoding", ["GZIP", " gzip "])
def test_an_encoding_has_several_spellings(encoding: str) -> None:
    body = packed(b'{"id": 1}', "gzip")
    assert reads(Struct)(delivered(body, content_encoding=encoding)) == Struct(1)


@pytest.mark.parametrize("encoding", ["", "identity"])
def test_no_encoding_has_names_as_well(encoding: str) -> None:
    assert reads(Struct)(delivered(b'{"id": 1}', content_encoding=encoding)) == Struct(1)


@pytest.mark.parametrize("encoding", ["br", "gzip, zstd", "gzip, gzip", "deflate", "x\n" * 100])
def test_an_encoding_that_is_not_known_is_a_payload_error(encoding: str) -> None:
    body = zlib.compress(gzip.compress(b'{"id": 1}'))
    with pytest.raises(PayloadError, match="is not known; gzip and zstd are"):
        reads(Struct)(delivered(body, content_encoding=encoding))


@pytest.mark.parametrize("limits", [{"max_body": 0}, {"max_decoded": -1}])
def test_a_limit_that_nothing_passes_is_a_usage_error(limits: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="positive"):
        SizeLimits(**limits)


# --- hostile bodies ----------------------------------------------------------------------------

HOSTILE = [
    b"",
    b"\x00",
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"inner":' * 100_000,
    b"[" * 100_000 + b"]" * 100_000,
    b"\x91" * 100_000,
    b"\xdd\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    b"9" * 10_000,
    b"1e999",
    b'{"id": ' + b"9" * 10_000 + b"}",
    b'{"id": 1} {"id": 1}',
    b'"\\ud800"',
    b"NaN",
    b'{"id": 1, "inner": {"id": "' + b"x" * 5000 + b'"}}',
]


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
@pytest.mark.parametrize("type_", TYPES, ids=str)
@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_body_is_read_or_is_a_payload_error(
    body: bytes, type_: Any, content_type: str | None
) -> None:
    try:
        reads(type_)(delivered(body, content_type=content_type))
    except PayloadError as error:
        assert_said_well(error)


@given(st.binary(max_size=50), st.sampled_from(TYPES), st.sampled_from(CONTENT_TYPES))
def test_any_body_is_read_or_is_a_payload_error(
    body: bytes, type_: Any, content_type: str | None
) -> None:
    try:
        reads(type_)(delivered(body, content_type=content_type))
    except PayloadError as error:
        assert_said_well(error)


@given(st.text(max_size=100), st.text(max_size=100))
def test_any_content_type_is_read_or_is_a_payload_error(content_type: str, encoding: str) -> None:
    class Fake:
        body = b'{"id": 1}'

        class properties:  # noqa: N801
            pass

    Fake.properties.content_type = content_type  # type: ignore[attr-defined]
    Fake.properties.content_encoding = encoding  # type: ignore[attr-defined]
    try:
        reads(Struct)(Fake)
    except PayloadError as error:
        assert_said_well(error)


def assert_said_well(error: PayloadError) -> None:
    text = str(error)
    assert text
    assert text.isprintable()
    assert len(text) < MAX_LENGTH + 200


@pytest.mark.parametrize("type_, field", [(Struct, r"`\$.id`"), (Model, "id: ")])
def test_what_is_wrong_is_said_by_field_and_without_the_value(type_: Any, field: str) -> None:
    with pytest.raises(PayloadError, match=f"the body is no {type_.__name__}: .*{field}") as raised:
        reads(type_)(delivered(b'{"id": "card 4111"}'))
    assert "4111" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def test_many_faults_are_said_in_short() -> None:
    body = b"[" + b",".join([b'{"id": "x"}'] * 1000) + b"]"
    with pytest.raises(PayloadError, match=r"0\.id: .*; 1\.id: .*; 2\.id: .*; and 997 more$"):
        reads(list[Model])(delivered(body))


def test_names_that_the_peer_chose_break_no_line_and_take_no_room() -> None:
    body = b'{"a\\n' + b"x" * 1000 + b'": {"id": "x"}}'
    with pytest.raises(PayloadError, match=r"Model\]: a\?x+\.\.\.: Input") as raised:
        reads(dict[str, Model])(delivered(body))
    assert_said_well(raised.value)
    assert len(str(raised.value)) < 300


def test_whatever_a_validator_raises_is_a_payload_error() -> None:
    class Strange(pydantic.BaseModel):
        id: int

        @pydantic.field_validator("id")
        @classmethod
        def _check(cls, value: int) -> int:
            raise LookupError(f"no order {value}")

    with pytest.raises(PayloadError, match="LookupError: no order 1"):
        reads(Strange)(delivered(b'{"id": 1}'))


def test_want_of_memory_is_not_the_fault_of_the_body() -> None:
    class Greedy:
        content_type = "application/json"

        def encode(self, value: Any, /) -> bytes:
            raise AssertionError

        def decoder(self, type_: Any, /) -> Any:
            def decode(body: bytes) -> Any:
                raise MemoryError

            return decode

    with pytest.raises(MemoryError):
        Serialization(Greedy()).decoder(Struct, "here")(delivered(b"1"))


def test_spellings_of_content_types_do_not_pile_up() -> None:
    decode = reads(Struct)
    kept = next(each for each in decode.__closure__ if isinstance(each.cell_contents, dict))
    for number in range(1000):
        decode(delivered(b'{"id": 1}', content_type=f"application/json; v={number}"))
    assert 0 < len(kept.cell_contents) < 100
