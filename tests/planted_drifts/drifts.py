"""Mistakes that a second codec is likely to make, as small changes to the compiled one.

Each replaces text that must stand exactly once in its file; when the codec is rewritten, the
drift is to be rewritten with it.
"""

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path("hopmq/_speedups")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One mistake: what is changed, and in which rule the codec would then be wrong."""

    name: str
    rule: str
    file: str
    old: str
    new: str

    def apply(self, root: Path) -> None:
        """Plant the mistake in a copy of the project."""
        path = root / FOLDER / self.file
        source = path.read_text()
        found = source.count(self.old)
        if found != 1:
            raise SystemExit(f"{self.name}: the text to replace stands {found} times in {path}")
        path.write_text(source.replace(self.old, self.new))


DRIFTS = (
    Drift(
        name="bit-mask",
        rule="a bit of basic.nack is read from the wrong place",
        file="_assembly.pxi",
        old="    event.multiple = bits & 1\n    event.requeue = bits >> 1 & 1\n",
        new="    event.multiple = bits & 1\n    event.requeue = bits >> 2 & 1\n",
    ),
    Drift(
        name="trailing-bytes",
        rule="bytes behind the arguments of a method are accepted",
        file="_methods.pxi",
        old="        if cursor.at != cursor.end:\n            refuse_value(reasons.LEFT_OVER)\n",
        new="",
    ),
    Drift(
        name="unsigned",
        rule="a 32-bit integer in a table is read as unsigned",
        file="_decode_values.pxi",
        old="        return <int32_t>read32(take(cursor, 4))\n",
        new="        return read32(take(cursor, 4))\n",
    ),
    Drift(
        name="lenient-utf8",
        rule="a short string may hold what is no UTF-8",
        file="_read.pxi",
        old="cursor.end - cursor.at, NULL)\n    except UnicodeDecodeError:\n        raise",
        new='cursor.end - cursor.at, b"replace")\n    except UnicodeDecodeError:\n        raise',
    ),
    Drift(
        name="table-overrun",
        rule="the last value of a table may reach beyond the table's length",
        file="_decode_values.pxi",
        old="""\
    while inner.at < inner.end:
        key = take_short(&inner)
        entries[key] = take_value(&inner, depth + 1)
    return entries
""",
        new="""\
    cdef const uint8_t* table_end = inner.end
    inner.end = cursor.end
    while inner.at < table_end:
        key = take_short(&inner)
        entries[key] = take_value(&inner, depth + 1)
    cursor.at = inner.at
    return entries
""",
    ),
)
