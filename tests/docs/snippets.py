"""Python code in Markdown: found, and run as its reader would run it."""

import ast
import asyncio
import inspect
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hopmq

_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    """One block of code.

    Attributes:
        code: Its text.
        place: File and line of its beginning.
    """

    code: str
    place: str

    @property
    def is_program(self) -> bool:
        """Whether it is complete, rather than a part of something asynchronous."""
        return "asyncio.run(" in self.code or "app.run()" in self.code

    @property
    def is_test(self) -> bool:
        """Whether pytest runs it."""
        return "def test_" in self.code

    @property
    def is_endless(self) -> bool:
        """Whether it is a program that consumes until it is interrupted."""
        iterates = "async for" in self.code and "break" not in self.code
        return self.is_program and (iterates or self.ends_in_order)

    @property
    def ends_in_order(self) -> bool:
        """Whether it is a program that drains when it is interrupted."""
        return "DrainOnSignal" in self.code or "app.run()" in self.code

    def adapted(self, words: Mapping[str, str]) -> "Snippet":
        """Return the same with the addresses and files of a broker at hand."""
        code = self.code
        for word, replacement in words.items():
            code = code.replace(word, replacement)
        return Snippet(code=code, place=self.place)


def snippets(page: Path) -> list[Snippet]:
    """Return the blocks of Python in a page, in order."""
    text = page.read_text()
    return [
        Snippet(code=match[1], place=f"{page.name}:{text.count(chr(10), 0, match.start(1)) + 1}")
        for match in _BLOCK.finditer(text)
    ]


async def run_part(snippet: Snippet, namespace: dict[str, Any]) -> None:
    """Run a block that may await, among the names of the blocks before it."""
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    code = compile(snippet.code, snippet.place, "exec", flags=flags, dont_inherit=True)
    async with asyncio.timeout(_TIMEOUT):
        outcome = eval(code, namespace)
        if inspect.isawaitable(outcome):
            await outcome


def run_program(snippet: Snippet, folder: Path) -> str:
    """Run a complete program and return what it prints; interrupt an endless one."""
    path = folder / "program.py"
    path.write_text(snippet.code)
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-u", str(path)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(hopmq.__file__).parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    with process:
        if snippet.is_endless:
            first = process.stdout.readline()
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=_TIMEOUT)
            assert not snippet.ends_in_order or process.returncode == 0, (
                f"{snippet.place}: {output}"
            )
            return first
        output, _ = process.communicate(timeout=_TIMEOUT)
        assert process.returncode == 0, f"{snippet.place}: {output}"
        return output


def run_tests(parts: Sequence[Snippet], folder: Path) -> str:
    """Run the tests of a page, as one file, in a pytest of their own."""
    path = folder / "test_page.py"
    path.write_text("\n\n".join(part.code for part in parts))
    options = ("-p", "no:cacheprovider", "-W", "error", "-o", "asyncio_mode=auto")
    loop = ("-o", "asyncio_default_fixture_loop_scope=function")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *loop, str(path)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout
