"""What the broker shows for the connections of a pool."""

from collections.abc import Sequence

from hopmq.client.connect_options import check_urls
from hopmq.client.dialing import default_name
from hopmq.url import parse_url


def pool_name(urls: str | Sequence[str], name: str | None) -> str:
    """Return the name that the connections of a pool have in common, as `connect` chooses it."""
    return name or parse_url(check_urls(urls)[0]).texts.get("name") or default_name()
