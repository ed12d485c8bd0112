"""The codec under test is the one that was asked for."""

import inspect

from hopmq.wire import PURE, Codec

from .loading import COMPILED, REQUIRED


def test_compiled_codec_is_loaded() -> None:
    """A build that was to have the compiled codec may not lose it unseen."""
    assert COMPILED is not None or not REQUIRED
    assert COMPILED is None or COMPILED.name == "cython"


def test_the_compiled_codec_is_compiled(compiled: Codec) -> None:
    functions = (compiled.encode_ack, compiled.encode_table, compiled.Decoder.feed)
    assert not any(inspect.isfunction(function) for function in functions)
    assert inspect.isfunction(PURE.encode_ack)
