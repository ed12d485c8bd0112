"""CC and BCC: more routing keys, refusals in RabbitMQ's words, and what is delivered."""

import pytest
from hypothesis import given, strategies as st

from flavours import compiled_codec
from hopmq.broker.exchanges import disclosed_keys_of, routing_keys_of, without_blind
from hopmq.broker.refusal import Refusal
from hopmq.typedefs import FieldTable, FieldValue
from hopmq.wire import PURE
from hopmq.wire.events import Published
from hopmq.wire.properties import Properties, decode_properties, encode_properties

from .routing import message

COMPILED = compiled_codec()
CODECS = [pytest.param(each, id=each.name) for each in (PURE, COMPILED) if each is not None]


@pytest.mark.parametrize(
    "headers, keys",
    [
        (None, ["k"]),
        ({}, ["k"]),
        ({"a": "CC"}, ["k"]),
        ({"CC": ["a"], "BCC": ["b"]}, ["k", "a", "b"]),
        ({"BCC": ["b"], "CC": ["a"]}, ["k", "a", "b"]),
        ({"CC": []}, ["k"]),
        ({"CC": ["k", "k"]}, ["k"]),
        ({"CC": ["a", 5, b"b", None]}, ["k", "a"]),
        ({"inner": {"CC": ["a"]}}, ["k"]),
        ({"cc": ["a"], "Bcc": ["b"]}, ["k"]),
    ],
)
def test_keys_are_the_messages_own_then_cc_then_bcc(
    headers: FieldTable | None, keys: list[str]
) -> None:
    assert list(routing_keys_of(message("k", headers))) == keys


@pytest.mark.parametrize(
    "value, kind",
    [
        ("q2", "longstr"),
        (b"q2", "binary"),
        (5, "byte"),
        (None, "void"),
        (True, "bool"),
        ({"a": 1}, "table"),
    ],
)
@pytest.mark.parametrize("name", ["CC", "BCC"])
def test_what_is_no_array_is_refused_in_rabbitmqs_words(
    name: str, value: FieldValue, kind: str
) -> None:
    with pytest.raises(Refusal) as refused:
        routing_keys_of(message("k", {name: value}))
    assert (refused.value.code, refused.value.text) == (
        406,
        f'PRECONDITION_FAILED - invalid message: {{unacceptable_type_in_header,"{name}",{kind}}}',
    )


def test_headers_without_either_are_not_decoded() -> None:
    published = message("k", {"a": 1})
    assert routing_keys_of(published) == ("k",)
    assert published._properties is None


def test_blind_keys_are_not_disclosed() -> None:
    published = message("k", {"CC": ["a"], "BCC": ["b"]})
    assert disclosed_keys_of(published) == ("k", "a")


@pytest.mark.parametrize("codec", CODECS)
def test_published_messages_of_both_codecs_are_understood(codec: object) -> None:
    kind: type[Published] = codec.Published  # type: ignore[attr-defined]
    raw = encode_properties(Properties(headers={"CC": ["a"], "BCC": ["b"]}))
    published = kind(0, "", "k", b"", raw)
    assert routing_keys_of(published) == ("k", "a", "b")
    assert decode_properties(without_blind(published)).headers == {"CC": ["a"]}


# --- what is delivered ---------------------------------------------------------------------------

TRAPS: list[FieldValue] = [
    "\x03BCCA",
    b"\x03BCCA\x00\x00\x00\x00",
    {"BCC": ["inner"]},
    [{"BCC": []}, "BCC"],
    0.5,
    None,
]
NAMES = st.sampled_from(["a", "CC", "\x03BCCA", "b", "\x04BCCA"])
HEADERS = st.dictionaries(NAMES, st.sampled_from(TRAPS), max_size=5)


@given(
    before=HEADERS,
    after=HEADERS,
    blind=st.lists(st.sampled_from(["q", "", "\x03BCCA", "long" * 60]), max_size=3),
    content_type=st.sampled_from([None, "", "\x03BCCA\x00\x00\x00\x00"]),
    content_encoding=st.sampled_from([None, "x"]),
    message_id=st.sampled_from([None, "\x03BCCA\x00\x00\x00\x00"]),
)
def test_bcc_is_cut_out_and_not_a_byte_more(
    before: FieldTable,
    after: FieldTable,
    blind: list[str],
    content_type: str | None,
    content_encoding: str | None,
    message_id: str | None,
) -> None:
    def raw(headers: FieldTable) -> bytes:
        return encode_properties(
            Properties(
                headers=headers,
                content_type=content_type,
                content_encoding=content_encoding,
                message_id=message_id,
            )
        )

    after = {name: value for name, value in after.items() if name not in before}
    published = Published(raw_properties=raw({**before, "BCC": blind, **after}))
    assert without_blind(published) == raw({**before, **after})


def test_without_bcc_nothing_changes() -> None:
    published = message("k", {"CC": ["a"]})
    assert without_blind(published) is published.raw_properties
    plain = message("k")
    assert without_blind(plain) is plain.raw_properties
