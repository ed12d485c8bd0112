"""Sphinx settings. Build with `make docs`; every warning is an error."""

from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

import hopmq
import hopmq.testing

project = "HopMQ"
author = "The HopMQ authors"
copyright = author
version = release = hopmq.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["_build"]
nitpicky = True
default_role = "code"

html_theme = "furo"
html_title = f"HopMQ {release}"

myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_default_options = {"members": True}
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_attr_annotations = False

# Names of the standard library, and the names of types that the pages explain in words.
nitpick_ignore_regex = [
    (
        "py:.*",
        r"(asyncio|collections|contextlib|datetime|decimal|enum|logging|os|pathlib|random|signal|ssl|types|typing)\..*",
    ),
    (
        "py:.*",
        r"(.*\.)?(Body|CredentialsProvider|Drainable|Handler|Loan|Messaging|OnLoss|OnReturn|Opening|PausableConsumer|Processing|Overflow|DeadLetterStrategy|Timer|C|F|H|R|T)",
    ),
    ("py:.*", r"(dict|tuple)\[str"),  # what Sphinx makes of types within types of attributes
]

# How a table of headers begins where a signature spells its type out.
SPELLED_OUT = "~collections.abc.Mapping[str, bool | int | float"
RESULTS = Path(__file__).parent.parent / "benchmarks" / "results"


def add_results(_app: Sphinx, docname: str, source: list[str]) -> None:
    """Put the tables of benchmarks, where there are any, on their page."""
    if docname == "benchmarks":
        source[0] += "".join(
            f"\n```{{include}} ../benchmarks/results/{table.name}\n:heading-offset: 1\n```\n"
            for table in sorted(RESULTS.glob("*.md"))
        )


def shorten(
    _app: Sphinx,
    what: str,
    _name: str,
    _thing: object,
    _options: object,
    signature: str | None,
    returns: str | None,
) -> tuple[str | None, str | None]:
    """Name an alias in a signature again, and leave out how errors are made."""
    if what == "exception" and signature is not None:
        return "", None
    while signature is not None and SPELLED_OUT in signature:
        start = signature.index(SPELLED_OUT)
        end = end_of_brackets(signature, start)
        signature = f"{signature[:start]}FieldTable{signature[end:]}"
    return signature, returns


def end_of_brackets(text: str, start: int) -> int:
    """Return where the first brackets behind `start` are closed again."""
    depth = 0
    for place in range(text.index("[", start), len(text)):
        depth += (text[place] == "[") - (text[place] == "]")
        if not depth:
            return place + 1
    return len(text)


def resolve(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.Node | None:
    """Lead a type in a signature to its public name, whatever module it is written in."""
    last = str(node.get("reftarget", "")).rpartition(".")[2]
    python = env.domains.python_domain
    for module in ("hopmq", "hopmq.app", "hopmq.errors", "hopmq.broker", "hopmq.testing"):
        if f"{module}.{last}" in python.objects:
            target = f"{module}.{last}"
            return python.resolve_xref(
                env, node["refdoc"], app.builder, "obj", target, node, content
            )
    return None


def setup(app: Sphinx) -> None:
    """Connect the above."""
    app.connect("source-read", add_results)
    app.connect("autodoc-process-signature", shorten)
    app.connect("missing-reference", resolve)
