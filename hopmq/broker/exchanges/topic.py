"""The topic exchange: words of the key against patterns with `*` (one word) and `#` (any number)."""

from collections.abc import Iterator
from typing import Final

from hopmq.broker.exchanges.binding import Binding, Destination
from hopmq.broker.exchanges.router import BindingTable
from hopmq.broker.exchanges.rules import NEWEST, RoutingRules
from hopmq.broker.refusal import Refusal
from hopmq.wire.events import Published

REMEMBERED: Final = 16_384
"""How many keys and destinations the routes found before may hold together."""

_ONE: Final = "*"
_ANY: Final = "#"


def words_of(key: str) -> list[str]:
    """Return the words of a key; the empty key has none, a lone dot two empty ones."""
    return key.split(".") if key else []


class _Node:
    """Where a pattern may stand after some words: one node of the trie."""

    __slots__ = ("any", "bound", "children", "one", "repeats")

    def __init__(self, *, repeats: bool = False) -> None:
        self.children: dict[str, _Node] = {}
        self.one: _Node | None = None
        self.any: _Node | None = None
        self.repeats = repeats  # the node of a `#`, which any word leads back to
        self.bound: dict[Binding, int] = {}

    @property
    def is_bare(self) -> bool:
        """Whether nothing is bound here or below."""
        return not (self.bound or self.children or self.one or self.any)

    def step(self, word: str) -> "_Node":
        """Return the node that a word of a pattern leads to, made when it is not there."""
        if word == _ANY:
            if self.repeats:  # `#.#` is `#`
                return self
            self.any = self.any or _Node(repeats=True)
            return self.any
        if word == _ONE:
            self.one = self.one or _Node()
            return self.one
        return self.children.setdefault(word, _Node())

    def cut(self, word: str) -> None:
        """Remove the node that a word leads to."""
        if word == _ANY:
            self.any = None
        elif word == _ONE:
            self.one = None
        else:
            del self.children[word]


class TopicRouter(BindingTable):
    """Routes by a trie of the patterns' words, and remembers what it has found.

    All patterns are followed at once, word by word, as a set of nodes: the work is bounded by
    words times nodes, whatever the patterns, and never grows with the ways in which a pattern
    can match.
    """

    __slots__ = ("_held", "_root", "_routes", "_rules")

    by_key = True

    def __init__(self, rules: RoutingRules = NEWEST) -> None:
        """Start without bindings."""
        super().__init__()
        self._rules = rules
        self._root = _Node()
        self._routes: dict[str, tuple[Destination, ...]] = {}
        self._held = 0

    def route(self, message: Published, routing_key: str) -> tuple[Destination, ...]:
        """Return what is bound with a matching pattern."""
        found = self._routes.get(routing_key)
        if found is None:
            found = self._search(routing_key)
            self._remember(routing_key, found)
        return found

    def _remember(self, key: str, found: tuple[Destination, ...]) -> None:
        if self._held > REMEMBERED:
            self._forget()
        self._routes[key] = found
        self._held += 1 + len(found)

    def _forget(self) -> None:
        self._routes.clear()
        self._held = 0

    def _search(self, key: str) -> tuple[Destination, ...]:
        here = dict.fromkeys(_with_empty(self._root))
        for word in words_of(key):
            here = {node: None for place in here for node in _after(place, word)}
            if not here:
                return ()
        matches = [pair for node in here for pair in node.bound.items()]
        matches.sort(key=lambda pair: pair[1])
        return tuple(dict.fromkeys(binding.destination for binding, _ in matches))

    def _check(self, binding: Binding) -> None:
        most = self._rules.wildcards
        if most is None:
            return
        found = words_of(binding.routing_key).count(_ANY)
        if found > most:
            raise Refusal(
                406,
                f"PRECONDITION_FAILED - Topic binding key '{binding.routing_key}' uses {found} "
                f"'#' wildcards, at most {most} are allowed",
            )

    def _added(self, binding: Binding) -> None:
        self._forget()
        node = self._root
        for word in words_of(binding.routing_key):
            node = node.step(word)
        node.bound[binding] = self._bindings[binding]

    def _removed(self, binding: Binding) -> None:
        self._forget()
        node = self._root
        path: list[tuple[_Node, str, _Node]] = []
        for word in words_of(binding.routing_key):
            below = node.step(word)
            if below is not node:
                path.append((node, word, below))
            node = below
        del node.bound[binding]
        for above, word, below in reversed(path):
            if not below.is_bare:
                break
            above.cut(word)


def _with_empty(node: _Node) -> Iterator[_Node]:
    """Yield a node and where `#` leads from it without a word."""
    yield node
    if node.any is not None:
        yield node.any


def _after(node: _Node, word: str) -> Iterator[_Node]:
    """Yield every node that a word of a key leads to."""
    if node.repeats:
        yield node
    child = node.children.get(word)
    if child is not None:
        yield from _with_empty(child)
    if node.one is not None:
        yield from _with_empty(node.one)
