"""Retained messages, by topic, found by Topic Filter."""

from __future__ import annotations

from bridgehead.core.message import Message


class _Node:
    def __init__(self) -> None:
        self.children: dict[str, _Node] | None = None
        self.topic: str | None = None


class Retained:
    """At most one message for each topic. Each change raises `revision`."""

    def __init__(self) -> None:
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
        """The topic's message unless it was set after `revision`."""
        held = self._messages.get(topic)
        return None if held is None or held[1] > revision else held[0]

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
                node = child
            node.topic = topic
        else:
            self.octets -= held[0].weight
        self._messages[topic] = (message, as_of or self.revision)
        self.octets += message.weight
        return None if held is None else held[0]

    def discard(self, topic: str) -> Message | None:
        """Clear; returns the message that was there."""
        held = self._messages.pop(topic, None)
        if held is None:
            return None
        self.revision += 1
        self.octets -= held[0].weight
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
            depth -= 1
        return held[0]

    def matching(self, topic_filter: str) -> list[str]:
        """The topics with a message that match the Topic Filter; the oldest branches come first."""
        levels = topic_filter.split("/")
        nodes: list[_Node] = [self._root]
        for depth, level in enumerate(levels):
            if level == "#":
                return self._below(nodes, depth == 0)
            following: list[_Node] = []
            for node in nodes:
                children = node.children
                if children is None:
                    continue
                if level == "+":
                    for name, child in children.items():
                        if depth > 0 or not name.startswith("$"):  # [MQTT-4.7.2-1]
                            following.append(child)
                else:
                    found = children.get(level)
                    if found is not None:
                        following.append(found)
            nodes = following
        return [node.topic for node in nodes if node.topic is not None]

    def _below(self, nodes: list[_Node], from_root: bool) -> list[str]:
        found: list[str] = []
        stack: list[_Node] = []
        for node in nodes:
            if from_root:
                if node.children is not None:
                    for name, child in node.children.items():
                        if not name.startswith("$"):  # [MQTT-4.7.2-1]
                            stack.append(child)
            else:
                stack.append(node)
        stack.reverse()
        while stack:
            node = stack.pop()
            if node.topic is not None:
                found.append(node.topic)
            if node.children:
                children = list(node.children.values())
                children.reverse()
                stack.extend(children)
        return found
