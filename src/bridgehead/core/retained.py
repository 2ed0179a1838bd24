"""Retained messages, by topic, found by Topic Filter."""

from __future__ import annotations

from typing import Final

from bridgehead.core.message import Message


class _Node:
    def __init__(self) -> None:
        self.children: dict[str, _Node] | None = None
        self.topic: str | None = None
        # The children that a wildcard means, made when one comes by: walks share it. None after a change.
        self.listed: list[_Node] | None = None


class Retained:
    """At most one message for each topic. Each change raises `revision`. `written` has how many are whose, by the
    principal's name; those of `hidden` ones are kept and not shown: with when that principal was created."""

    def __init__(self) -> None:
        self.written: dict[str, int] = {}
        self.hidden: dict[str, float] = {}
        self._messages: dict[str, tuple[Message, int]] = {}
        self._root = _Node()
        self.revision = 0
        self.octets = 0

    def __len__(self) -> int:
        return len(self._messages)

    def topics(self) -> list[str]:
        return list(self._messages)

    def get(self, topic: str) -> Message | None:
        held = self._messages.get(topic)
        return None if held is None else held[0]

    def get_as_of(self, topic: str, revision: int) -> Message | None:
        """The topic's message, to be shown, unless it was set after `revision`."""
        held = self._messages.get(topic)
        return None if held is None or held[1] > revision or self.is_hidden(held[0]) else held[0]

    def is_hidden(self, message: Message) -> bool:
        return bool(self.hidden) and message.origin.principal in self.hidden

    def revision_of(self, topic: str) -> int:
        """The revision that set the topic's message, 0 when it has none."""
        held = self._messages.get(topic)
        return 0 if held is None else held[1]

    def put(self, message: Message, as_of: int = 0) -> Message | None:
        """Set or replace; returns the message that was there. `as_of` is the revision to put it back under."""
        self.revision += 1
        topic = message.topic
        held = self._messages.get(topic)
        if held is None:
            node = self._root
            for level in topic.split("/"):
                if node.children is None:
                    node.children = {}
                child = node.children.get(level)
                if child is None:
                    child = _Node()
                    node.children[level] = child
                    node.listed = None
                node = child
            node.topic = topic
        else:
            self.octets -= held[0].weight
            self._count(held[0], -1)
        self._count(message, 1)
        self._messages[topic] = (message, as_of or self.revision)
        self.octets += message.weight
        return None if held is None else held[0]

    def _count(self, message: Message, more: int) -> None:
        name = message.origin.principal
        count = self.written.get(name, 0) + more
        if count:
            self.written[name] = count
        else:
            self.written.pop(name, None)

    def discard(self, topic: str) -> Message | None:
        """Clear; returns the message that was there."""
        held = self._messages.pop(topic, None)
        if held is None:
            return None
        self.revision += 1
        self.octets -= held[0].weight
        self._count(held[0], -1)
        levels = topic.split("/")
        path = [self._root]
        for level in levels:
            children = path[-1].children
            assert children is not None
            path.append(children[level])
        path[-1].topic = None
        depth = len(levels)
        while depth > 0 and path[depth].topic is None and not path[depth].children:
            siblings = path[depth - 1].children
            assert siblings is not None
            del siblings[levels[depth - 1]]
            path[depth - 1].listed = None
            depth -= 1
        return held[0]

    def walk(self, topic_filter: str) -> Walk:
        """The topics with a message that match the Topic Filter, to be asked for one by one."""
        return Walk(self._root, topic_filter)

    def matching(self, topic_filter: str) -> list[str]:
        """The topics with a message that match the Topic Filter; the oldest branches come first."""
        found: list[str] = []
        walk = self.walk(topic_filter)
        while not walk.is_over():
            topic = walk.step()
            if topic is not None:
                found.append(topic)
        return found


class Walk:
    """Goes through the topics that match one Topic Filter, the oldest branches first. A step costs the same however
    many messages there are, but for the first one through a node after its children changed; between steps messages
    may come and go."""

    def __init__(self, root: _Node, topic_filter: str) -> None:
        self._root: Final = root
        self._levels: Final = topic_filter.split("/")
        # Where it stands: at each level deeper a list of nodes, which of them is next, the filter's level below them.
        self._nodes: list[list[_Node]] = [[root]]
        self._next: list[int] = [0]
        self._depths: list[int] = [0]

    def is_over(self) -> bool:
        return not self._nodes

    def step(self) -> str | None:
        """The next topic, or None when there was none at this step. Not to be called when it is over."""
        nodes = self._nodes[-1]
        at = self._next[-1]
        depth = self._depths[-1]
        if at == len(nodes):
            self._nodes.pop()
            self._next.pop()
            self._depths.pop()
            return None
        self._next[-1] = at + 1
        node = nodes[at]
        if depth == len(self._levels):
            return node.topic
        level = self._levels[depth]
        children = node.children
        if level == "#" or level == "+":
            if children:
                self._enter(self._listed(node, children), depth if level == "#" else depth + 1)
            return node.topic if level == "#" else None
        if children is not None:
            found = children.get(level)
            if found is not None:
                self._enter([found], depth + 1)
        return None

    def _enter(self, nodes: list[_Node], depth: int) -> None:
        self._nodes.append(nodes)
        self._next.append(0)
        self._depths.append(depth)

    def _listed(self, node: _Node, children: dict[str, _Node]) -> list[_Node]:
        listed = node.listed
        if listed is None:
            if node is self._root:  # [MQTT-4.7.2-1]
                listed = [child for name, child in children.items() if not name.startswith("$")]
            else:
                listed = list(children.values())
            node.listed = listed
        return listed
