"""Which binding keys of a topic exchange a routing key matches (AMQP 0-9-1 section 3.1.3.3): a tree of words.

The words of a key are parted by dots; `*` stands for one word, `#` for any number of them, none included.
"""

from __future__ import annotations

from typing import Final, Generic, TypeVar

T = TypeVar("T")

ONE: Final = "*"
ANY: Final = "#"


def words_of(key: str) -> list[str]:
    """The words of a routing key. The empty key has none."""
    return key.split(".") if key else []


def pattern_of(binding_key: str) -> tuple[str, ...]:
    """The words of a binding key in the one form that all keys of the same meaning have: in a row of wildcards the
    words that are asked for come first, and several `#` are one. So the work for one routing key stays small:
    between two `#` there is always a word that has to be met."""
    pattern: list[str] = []
    ones = 0
    any_number = False
    for word in words_of(binding_key):
        if word == ONE:
            ones += 1
        elif word == ANY:
            any_number = True
        else:
            pattern.extend([ONE] * ones)
            if any_number:
                pattern.append(ANY)
            ones = 0
            any_number = False
            pattern.append(word)
    pattern.extend([ONE] * ones)
    if any_number:
        pattern.append(ANY)
    return tuple(pattern)


class _Node(Generic[T]):
    def __init__(self, repeats: bool) -> None:
        self.repeats: Final = repeats  # it was reached by `#`: any further word leads back to it
        self.children: dict[str, _Node[T]] = {}
        self.held: dict[T, None] = {}

    def is_empty(self) -> bool:
        return not self.children and not self.held


class TopicTree(Generic[T]):
    """Binding keys, and what is held by each. `T` is hashable; one thing may be held by several keys."""

    def __init__(self) -> None:
        self._root: _Node[T] = _Node(False)

    def add(self, binding_key: str, held: T) -> None:
        node = self._root
        for word in pattern_of(binding_key):
            child = node.children.get(word)
            if child is None:
                child = _Node(word == ANY)
                node.children[word] = child
            node = child
        node.held[held] = None

    def remove(self, binding_key: str, held: T) -> None:
        """Nothing happens when it is not held by that key."""
        pattern = pattern_of(binding_key)
        way = [self._root]
        for word in pattern:
            child = way[-1].children.get(word)
            if child is None:
                return
            way.append(child)
        way[-1].held.pop(held, None)
        for i in range(len(pattern) - 1, -1, -1):
            if not way[i + 1].is_empty():
                return
            del way[i].children[pattern[i]]

    def match(self, routing_key: str) -> list[T]:
        """What is held by a key that matches, each once. All places that the words so far may lead to go forward
        together, so the work is at most words x nodes, and no choice is ever taken back."""
        places: dict[_Node[T], None] = {self._root: None}
        _skip(self._root, places)
        for word in words_of(routing_key):
            following: dict[_Node[T], None] = {}
            for node in places:
                if node.repeats:
                    _arrive(node, following)
                child = node.children.get(word)
                # The characters of wildcards mean nothing in a routing key.
                if child is not None and word != ONE and word != ANY:
                    _arrive(child, following)
                child = node.children.get(ONE)
                if child is not None:
                    _arrive(child, following)
            places = following
            if not places:
                return []
        found: dict[T, None] = {}
        for node in places:
            found.update(node.held)
        return list(found)


def _arrive(node: _Node[T], places: dict[_Node[T], None]) -> None:
    if node not in places:
        places[node] = None
        _skip(node, places)


def _skip(node: _Node[T], places: dict[_Node[T], None]) -> None:
    """`#` stands for no word as well: what is behind it is reached at once."""
    child = node.children.get(ANY)
    if child is not None and child not in places:
        places[child] = None
