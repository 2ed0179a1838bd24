"""What of publish/subscribe can be set."""

from __future__ import annotations

from mypy_extensions import mypyc_attr

from bridgehead.protocols.coap.codec.topic_properties import CodePoints


@mypyc_attr(allow_interpreted_subclasses=True)
class PubSubSettings:
    """`points` are the draft's code points; the others are ceilings."""

    def __init__(self) -> None:
        self.enabled: bool = True
        self.points: CodePoints = CodePoints()
        self.topics: int = 10_000
        self.topics_per_identity: int = 1000
        self.properties_octets: int = 8192  # of one topic's representation
