"""A set of permissions, compiled once and shared by everyone who has it: a role's, a group's, everyone's, one's own."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from bridgehead.core.permission import Context, Permission
from bridgehead.core.topic import covers

UNLIMITED: Final = float("inf")
Bindings = dict[str, tuple[str, ...]]
_NONE: Final[Bindings] = {}


def parse(text: str) -> list[str]:
    """Literal text and placeholders' names by turns: "a-${b}c" is ["a-", "b", "c"]. Without an end it is literal."""
    parts: list[str] = []
    at = 0
    while True:
        begins = text.find("${", at)
        ends = -1 if begins < 0 else text.find("}", begins)
        if ends < 0:
            parts.append(text[at:])
            return parts
        parts.append(text[at:begins])
        parts.append(text[begins + 2 : ends])
        at = ends + 1


def resolved(topic_filter: str, bindings: Bindings, own: Bindings = _NONE) -> list[str]:
    """The Topic Filters that one with placeholders stands for: one for each combination of values, the same name
    always with the same value. Empty when one has no value."""
    found = [topic_filter]
    for name in dict.fromkeys(parse(topic_filter)[1::2]):
        values = own[name] if name in own else bindings.get(name, ())
        found = [each.replace("${" + name + "}", value) for each in found for value in values]
    return found


class _Node:
    """What hangs at the filter that ends here, and at this filter followed by "/#". The bits are of those that always
    hold; each of the others is asked."""

    def __init__(self) -> None:
        self.children: dict[str, _Node] | None = None
        self.templates: list[_Template] | None = None
        self.here: i64 = 0
        self.below: i64 = 0
        self.asked_here: list[Permission] | None = None
        self.asked_below: list[Permission] | None = None
        self.all_here: list[Permission] | None = None
        self.all_below: list[Permission] | None = None


class _Template:
    """A level with placeholders, and the node below it."""

    def __init__(self, text: str, node: _Node) -> None:
        self.text: Final = text
        self.node: Final = node
        parts = parse(text)
        self._parts: Final = parts
        self._only: Final[str] = parts[1] if len(parts) == 3 and not parts[0] and not parts[2] else ""

    def matches(self, level: str, bindings: Bindings, own: Bindings) -> bool:
        only = self._only
        if only:
            if own and only in own:
                return level in own[only]
            values = bindings.get(only)
            return values is not None and level in values
        # Every beginning of the level that the parts up to here can make.
        ends = [0] if level.startswith(self._parts[0]) else []
        for i, part in enumerate(self._parts):
            following: list[int] = []
            choices = (part,) if i % 2 == 0 else own[part] if part in own else bindings.get(part, ())
            for end in ends:
                for choice in choices:
                    if level.startswith(choice, end) and end + len(choice) not in following:
                        following.append(end + len(choice))
            ends = following
        return len(level) in ends


class Rights:
    """`name` says whose they are ("role sensor"), for explanations. `bindings` are values of placeholders that hold in
    these rights in place of the principal's. `messages` and `octets` are the quota per second that comes with them.

    Asking costs the same however many permissions and principals there are. Whoever amends it tells its principals.
    """

    def __init__(
        self,
        name: str,
        permissions: list[Permission],
        bindings: Bindings | None = None,
        messages: float = UNLIMITED,
        octets: float = UNLIMITED,
    ) -> None:
        self.name: Final = name
        self.bindings: Final[Bindings] = {} if bindings is None else bindings
        self.permissions: list[Permission] = []
        self.messages = UNLIMITED
        self.octets = UNLIMITED
        self.depth = 0  # no filter has more levels, "#" not counted
        self._root = _Node()
        self._twice: dict[Permission, bool] = {}
        self.amend(permissions, messages, octets)

    def amend(self, permissions: list[Permission], messages: float = UNLIMITED, octets: float = UNLIMITED) -> None:
        """Put other permissions in force."""
        self.permissions = permissions
        self.messages = messages
        self.octets = octets
        self.depth = 0
        self._root = _Node()
        self._twice = {}
        for permission in permissions:
            self._put(permission)

    def _put(self, permission: Permission) -> None:
        levels = permission.topic_filter.split("/")
        below = levels[-1] == "#"
        if below:
            levels.pop()
        self.depth = max(self.depth, len(levels))
        node = self._root
        names: list[str] = []
        for level in levels:
            if "${" in level:
                found = parse(level)[1::2]
                if found:
                    names.extend(found)
                    node = self._under_template(node, level)
                    continue
            if node.children is None:
                node.children = {}
            child = node.children.get(level)
            if child is None:
                child = _Node()
                node.children[level] = child
            node = child
        if len(set(names)) < len(names):
            self._twice[permission] = True
        asked = permission.is_conditional() or permission in self._twice
        if below:
            node.all_below = _with(node.all_below, permission)
            if asked:
                node.asked_below = _with(node.asked_below, permission)
            else:
                node.below |= permission.bits
        else:
            node.all_here = _with(node.all_here, permission)
            if asked:
                node.asked_here = _with(node.asked_here, permission)
            else:
                node.here |= permission.bits

    def _under_template(self, node: _Node, level: str) -> _Node:
        if node.templates is None:
            node.templates = []
        for template in node.templates:
            if template.text == level:
                return template.node
        made = _Template(level, _Node())
        node.templates.append(made)
        return made.node

    def judge(self, levels: list[str], topic: str, bindings: Bindings, context: Context | None) -> i64:
        """The bits of all permissions that cover the Topic Name or Topic Filter `topic`, with denials beside what
        others allow. `levels` is it, split at least `depth` times."""
        found: i64 = 0
        nodes: list[_Node] = [self._root]
        own = self.bindings
        wild = not topic.startswith("$")  # [MQTT-4.7.2-1]
        for level in levels:
            following: list[_Node] = []
            for node in nodes:
                if wild:
                    found |= node.below
                    if node.asked_below is not None:
                        found |= self._asked(node.asked_below, topic, bindings, context)
                children = node.children
                if children is not None:
                    child = children.get(level)
                    if child is not None:
                        following.append(child)
                    if wild and level != "+":
                        child = children.get("+")
                        if child is not None:
                            following.append(child)
                if node.templates is not None:
                    for template in node.templates:
                        if template.matches(level, bindings, own):
                            following.append(template.node)
            if level == "#":
                return found | self._under_every_first(levels, topic, bindings, context)
            if not following:
                return found
            nodes = following
            wild = True
        for node in nodes:
            found |= node.here | node.below  # "sport/#" matches "sport" too: section 4.7.1.2
            if node.asked_here is not None:
                found |= self._asked(node.asked_here, topic, bindings, context)
            if node.asked_below is not None:
                found |= self._asked(node.asked_below, topic, bindings, context)
        return found

    def _under_every_first(self, levels: list[str], topic: str, bindings: Bindings, context: Context | None) -> i64:
        """ "+/#" covers "#": every topic has a first level."""
        children = self._root.children
        node = children.get("+") if len(levels) == 1 and children is not None else None
        if node is None:
            return 0
        found = node.below
        if node.asked_below is not None:
            found |= self._asked(node.asked_below, topic, bindings, context)
        return found

    def _asked(self, permissions: list[Permission], topic: str, bindings: Bindings, context: Context | None) -> i64:
        found: i64 = 0
        for permission in permissions:
            if permission.holds(context) and (
                permission not in self._twice or self.covers(permission, topic, bindings)
            ):
                found |= permission.bits
        return found

    def covers(self, permission: Permission, topic: str, bindings: Bindings) -> bool:
        """Whether one of the filters that the permission stands for covers the Topic Name or Topic Filter."""
        return any(covers(each, topic) for each in resolved(permission.topic_filter, bindings, self.bindings))

    def covering(self, levels: list[str], topic: str, bindings: Bindings) -> list[Permission]:
        """The permissions that cover it, also those whose conditions are not met: for explanations and for what must
        be known of each."""
        found: list[Permission] = []
        nodes: list[_Node] = [self._root]
        wild = not topic.startswith("$")
        at_end = True
        for level in levels:
            following: list[_Node] = []
            for node in nodes:
                if wild and node.all_below is not None:
                    found.extend(node.all_below)
                children = node.children
                if children is not None:
                    child = children.get(level)
                    if child is not None:
                        following.append(child)
                    if wild and level != "+":
                        child = children.get("+")
                        if child is not None:
                            if level == "#":
                                if node is self._root and child.all_below is not None:
                                    found.extend(child.all_below)
                            else:
                                following.append(child)
                if node.templates is not None:
                    for template in node.templates:
                        if template.matches(level, bindings, self.bindings):
                            following.append(template.node)
            if level == "#" or not following:
                at_end = False
                break
            nodes = following
            wild = True
        if at_end:
            for node in nodes:
                if node.all_here is not None:
                    found.extend(node.all_here)
                if node.all_below is not None:
                    found.extend(node.all_below)
        if not self._twice:
            return found
        return [each for each in found if each not in self._twice or self.covers(each, topic, bindings)]


def _with(held: list[Permission] | None, permission: Permission) -> list[Permission]:
    if held is None:
        return [permission]
    held.append(permission)
    return held
