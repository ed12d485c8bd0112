"""Which failures a `Retry` means, and what it refuses to mean."""

from typing import Any

import pytest

from hopmq import UsageError
from hopmq.app import Retry


@pytest.mark.parametrize("errors", [OSError, (OSError,), (KeyError, OSError)])
def test_one_error_or_several_may_be_named(errors: Any) -> None:
    only = Retry(on=errors)
    assert only.should_retry(ConnectionError(), 1)
    assert not only.should_retry(ValueError(), 1)
    never = Retry(give_up_on=errors)
    assert not never.should_retry(ConnectionError(), 1)
    assert never.should_retry(ValueError(), 1)


@pytest.mark.parametrize("errors", [[OSError], "OSError", (OSError, "other"), OSError(), int, None])
@pytest.mark.parametrize("name", ["on", "give_up_on"])
def test_what_is_no_error_is_refused_at_once(name: str, errors: Any) -> None:
    with pytest.raises(UsageError, match="an exception or a tuple of them"):
        Retry(**{name: errors})
