"""Refusals: what a reply code closes."""

import pytest

from hopmq.broker.refusal import Refusal

OF_CHANNEL = (311, 312, 313, 403, 404, 405, 406)
OF_CONNECTION = (320, 402, 501, 502, 503, 504, 505, 506, 530, 540, 541)


@pytest.mark.parametrize("code", OF_CHANNEL)
def test_a_soft_error_costs_the_channel(code: int) -> None:
    assert not Refusal(code, "text").closes_connection


@pytest.mark.parametrize("code", OF_CONNECTION)
def test_a_hard_error_costs_the_connection(code: int) -> None:
    assert Refusal(code, "text").closes_connection


def test_a_refusal_shows_code_and_text() -> None:
    refusal = Refusal(404, "NOT_FOUND - no exchange 'x' in vhost '/'")
    assert (refusal.code, refusal.text) == (404, "NOT_FOUND - no exchange 'x' in vhost '/'")
    assert str(refusal) == "404 NOT_FOUND - no exchange 'x' in vhost '/'"


@pytest.mark.parametrize(
    "text, sent",
    [
        ("a" * 255, "a" * 255),
        ("a" * 256, "a" * 252 + "..."),
        ("a" * 251 + "\u00e9" * 9, "a" * 251 + "..."),
    ],
)
def test_a_text_is_cut_to_what_a_short_string_holds(text: str, sent: str) -> None:
    assert Refusal(404, text).text == sent
