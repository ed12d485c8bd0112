"""Topic exchanges: which patterns match which keys, empty words and all."""

import pytest

from parity.channel import ChannelDriver

KEYS = (
    *("", "a", "b", "c", "A", "a b", "*", "#"),
    *("a.b", "b.a", "a.a", "b.b", "a.c", "a.*", "a.#", "*.a", "#.a"),
    *("a.b.c", "a.b.b", "a.a.a", "a.b.c.d", "stock.usd.nyse"),
    *(".", "..", "a.", ".a", ".b", "a..b", "a...b", "a.b."),
)

ONE_WORD = ("a", "b", "c", "A", "a b", "*", "#")
TWO_WORDS = (
    *("a.b", "b.a", "a.a", "b.b", "a.c", "a.*", "a.#", "*.a", "#.a"),
    *(".", "a.", ".a", ".b"),
)
FIRST_IS_A = (
    *("a", "a.b", "a.a", "a.c", "a.*", "a.#", "a.b.c", "a.b.b", "a.a.a", "a.b.c.d"),
    *("a.", "a..b", "a...b", "a.b."),
)
SOME_WORD = tuple(key for key in KEYS if key)
TWO_WORDS_OR_MORE = tuple(key for key in SOME_WORD if key not in ONE_WORD)

MATCHES: dict[str, tuple[str, ...]] = {
    # Words as they are.
    "": ("",),
    "a": ("a",),
    "a.b": ("a.b",),
    ".": (".",),
    "..": ("..",),
    "a.": ("a.",),
    ".a": (".a",),
    "a..b": ("a..b",),
    "a b": ("a b",),
    # A star is one word, which may be empty; within a word it is a letter.
    "*": ONE_WORD,
    "*.*": TWO_WORDS,
    "a.*": ("a.b", "a.a", "a.c", "a.*", "a.#", "a."),
    "*.a": ("b.a", "a.a", "*.a", "#.a", ".a"),
    "a.*.b": ("a.b.b", "a..b"),
    "a.*.*": ("a.b.c", "a.b.b", "a.a.a", "a..b", "a.b."),
    "*.b.*": ("a.b.c", "a.b.b", "a.b."),
    "*.": (".", "a."),
    "*..*": ("..", "a..b"),
    "stock.*.nyse": ("stock.usd.nyse",),
    "**": (),
    "a*": (),
    # A hash is any number of words, none included; within a word it is a letter.
    "#": KEYS,
    "a.#": FIRST_IS_A,
    "#.a": ("a", "b.a", "a.a", "*.a", "#.a", "a.a.a", ".a"),
    "a.#.b": ("a.b", "a.b.b", "a..b", "a...b"),
    "a.b.c.#": ("a.b.c", "a.b.c.d"),
    "#.nyse": ("stock.usd.nyse",),
    "#.": (".", "..", "a.", "a.b."),
    "a.#.": ("a.", "a.b."),
    "#a": (),
    # Both, and more than one.
    "#.#": KEYS,
    "a.#.#": FIRST_IS_A,
    "*.#": SOME_WORD,
    "#.*": SOME_WORD,
    "#.*.#": SOME_WORD,
    "*.#.*": TWO_WORDS_OR_MORE,
    "*.*.#": TWO_WORDS_OR_MORE,
    "#.b.*": ("b.a", "b.b", "a.b.c", "a.b.b", "a.b."),
    "#.a.#": (*FIRST_IS_A, "b.a", "*.a", "#.a", ".a"),
    "a.#.b.#.c": ("a.b.c",),
    "#..#": (".", "..", "a.", ".a", ".b", "a..b", "a...b", "a.b."),
}


@pytest.mark.parametrize("pattern", MATCHES)
async def test_a_pattern_matches_these_keys_and_no_others(
    channel: ChannelDriver, name: str, pattern: str
) -> None:
    await channel.exchange(name, "topic")
    await channel.declare(name, exclusive=True)
    await channel.bind(name, name, pattern)
    for key in KEYS:
        channel.publish(key.encode(), exchange=name, routing_key=key)
    matched = {body.decode() for body in await channel.drain(name)}
    assert matched == set(MATCHES[pattern])


async def test_a_long_pattern_matches_a_long_key(channel: ChannelDriver, name: str) -> None:
    await channel.exchange(name, "topic")
    await channel.declare(name, exclusive=True)
    await channel.bind(name, name, ".".join(["*"] * 128))
    channel.publish(b"128", exchange=name, routing_key=".".join(["w"] * 128))
    channel.publish(b"127", exchange=name, routing_key=".".join(["w"] * 127))
    assert await channel.drain(name) == [b"128"]


async def test_patterns_of_one_queue_that_overlap_deliver_once(
    channel: ChannelDriver, name: str
) -> None:
    await channel.exchange(name, "topic")
    await channel.declare(name, exclusive=True)
    for pattern in ("a.b", "a.*", "*.b", "#", "a.#", "#.b"):
        await channel.bind(name, name, pattern)
    channel.publish(exchange=name, routing_key="a.b")
    assert len(await channel.drain(name)) == 1


async def test_removing_a_pattern_leaves_those_that_share_its_beginning(
    channel: ChannelDriver, name: str
) -> None:
    await channel.exchange(name, "topic")
    await channel.declare(name, exclusive=True)
    for pattern in ("a", "a.b", "a.b.c", "a.#", "*.b"):
        await channel.bind(name, name, pattern)
    for pattern in ("a.b", "a.#", "*.b"):
        await channel.unbind(name, name, pattern)
    for key in ("a", "a.b", "a.b.c", "a.b.c.d", "x.b"):
        channel.publish(key.encode(), exchange=name, routing_key=key)
    assert await channel.drain(name) == [b"a", b"a.b.c"]


async def test_every_matching_queue_gets_its_copy(channel: ChannelDriver, name: str) -> None:
    await channel.exchange(name, "topic")
    patterns = ("a.b", "a.*", "#", "b.#")
    for pattern in patterns:
        await channel.declare(f"{name}-{pattern}", exclusive=True)
        await channel.bind(f"{name}-{pattern}", name, pattern)
    channel.publish(exchange=name, routing_key="a.b")
    counts = [len(await channel.drain(f"{name}-{pattern}")) for pattern in patterns]
    assert counts == [1, 1, 1, 0]
