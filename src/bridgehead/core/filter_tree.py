"""A tree of Topic Filters: which of many filters match a Topic Name."""

from __future__ import annotations


class _Node:
    def __init__(self) -> None:
        self.children: dict[str, _Node] | None = None
        # What hangs at the filter that ends here, and at this filter followed by "/#".
        self.values: dict[object, object] | None = None
        self.below: dict[object, object] | None = None

    def is_empty(self) -> bool:
        return not (self.children or self.values or self.below)


class FilterTree:
    """Values under (Topic Filter, key). Filters are valid (`check_topic_filter`).

    A match visits one set of nodes per topic level, without recursion: a filter or topic may have
    thousands of levels.
    """

    def __init__(self) -> None:
        self._root = _Node()
        self._size = 0
        self._depth = 0  # no filter ever had more levels, "#" not counted

    def __len__(self) -> int:
        return self._size

    def put(self, topic_filter: str, key: object, value: object) -> None:
        """Store `value`; what was under the same filter and key is replaced."""
        levels = topic_filter.split("/")
        below = levels[-1] == "#"
        if below:
            levels.pop()
        node = self._root
        for level in levels:
            if node.children is None:
                node.children = {}
            child = node.children.get(level)
            if child is None:
                child = _Node()
                node.children[level] = child
            node = child
        if below:
            if node.below is None:
                node.below = {}
            held = node.below
        else:
            if node.values is None:
                node.values = {}
            held = node.values
        self._depth = max(self._depth, len(levels))
        if key not in held:
            self._size += 1
        held[key] = value

    def get(self, topic_filter: str, key: object) -> object | None:
        levels = topic_filter.split("/")
        below = levels[-1] == "#"
        if below:
            levels.pop()
        node = self._root
        for level in levels:
            if node.children is None:
                return None
            child = node.children.get(level)
            if child is None:
                return None
            node = child
        held = node.below if below else node.values
        return None if held is None else held.get(key)

    def discard(self, topic_filter: str, key: object) -> bool:
        """Take the value away, with the nodes that nobody needs any more. True when it was there."""
        levels = topic_filter.split("/")
        below = levels[-1] == "#"
        if below:
            levels.pop()
        node = self._root
        path = [node]
        for level in levels:
            if node.children is None:
                return False
            child = node.children.get(level)
            if child is None:
                return False
            node = child
            path.append(node)
        held = node.below if below else node.values
        if held is None or key not in held:
            return False
        del held[key]
        self._size -= 1
        if not held:
            if below:
                node.below = None
            else:
                node.values = None
        depth = len(levels)
        while depth > 0 and path[depth].is_empty():
            siblings = path[depth - 1].children
            assert siblings is not None
            del siblings[levels[depth - 1]]
            if not siblings:
                path[depth - 1].children = None
            depth -= 1
        return True

    def match(self, topic: str) -> list[object]:
        """All values whose filter matches the Topic Name, in no particular order."""
        found: list[object] = []
        nodes: list[_Node] = [self._root]
        wild = not topic.startswith("$")  # [MQTT-4.7.2-1]
        # Deeper than any filter nothing has to be told apart: a topic of thousands of levels costs no more.
        for level in topic.split("/", self._depth):
            following: list[_Node] = []
            for node in nodes:
                if wild and node.below is not None:
                    found.extend(node.below.values())
                children = node.children
                if children is not None:
                    child = children.get(level)
                    if child is not None:
                        following.append(child)
                    if wild:
                        child = children.get("+")
                        if child is not None:
                            following.append(child)
            if not following:
                return found
            nodes = following
            wild = True
        for node in nodes:
            if node.values is not None:
                found.extend(node.values.values())
            if node.below is not None:
                found.extend(node.below.values())  # "sport/#" matches "sport" too: section 4.7.1.2
        return found
