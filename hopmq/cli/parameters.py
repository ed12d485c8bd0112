"""Values of options as people write them: sizes and users."""

import re
from typing import Final

import click

_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([kmg]?)(i?)b?", re.IGNORECASE)
_POWERS: Final = {"": 0, "k": 1, "m": 2, "g": 3}
_UNITS: Final = ("bytes", "KiB", "MiB", "GiB")


class Size(click.ParamType[int]):
    """A number of bytes: `1048576`, `512MiB`, `1.5GB`."""

    name = "size"

    def convert(
        self, value: str | int, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Return the number of bytes."""
        if isinstance(value, int):
            return value
        match = _SIZE.fullmatch(value.strip())
        if match is None:
            self.fail(f"{value!r} is not a size, such as 512MiB, 2GiB or 1000000.", param, ctx)
        number, prefix, binary = match.groups()
        base = 1024 if binary else 1000
        size = int(float(number) * base ** _POWERS[prefix.lower()])
        if not size:
            self.fail(f"{value!r} leaves no room for any message.", param, ctx)
        return size


class Credentials(click.ParamType[tuple[str, str]]):
    """A user and a password: `name:password`, whose password may hold colons."""

    name = "name:password"

    def convert(
        self,
        value: str | tuple[str, str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[str, str]:
        """Return name and password."""
        if isinstance(value, tuple):
            return value
        name, colon, password = value.partition(":")
        if not name or not colon or not password:
            # What was given may be a password: it is not repeated.
            self.fail("a user is given as NAME:PASSWORD, neither of them empty.", param, ctx)
        return name, password


def human_size(size: float) -> str:
    """Return a number of bytes as people read it, such as `512 MiB`."""
    power = 0
    while size >= 1024 and power < len(_UNITS) - 1:
        size /= 1024
        power += 1
    digits = 0 if size >= 100 or size == int(size) else 1
    return f"{size:,.{digits}f} {_UNITS[power]}"
