"""Latencies counted in logarithmic buckets: bounded memory, percentiles within 1.6 %."""

from __future__ import annotations

SUB_BITS = 6  # 64 buckets per power of two
LARGEST = (1 << 32) - 1  # microseconds: the stamp's own range


class Histogram:
    """Counts of whole microseconds."""

    def __init__(self) -> None:
        self.counts = [0] * ((33 - SUB_BITS) << SUB_BITS)
        self.total = 0
        self.largest = 0

    def add(self, micros: int, weight: int = 1) -> None:
        """`weight` messages were seen with this latency."""
        if micros > self.largest:
            self.largest = micros
        if micros >> SUB_BITS:
            shift = micros.bit_length() - SUB_BITS - 1
            self.counts[(shift << SUB_BITS) + (micros >> shift)] += weight
        else:
            self.counts[micros] += weight
        self.total += weight

    def clear(self) -> None:
        self.counts = [0] * len(self.counts)
        self.total = 0
        self.largest = 0

    def percentile(self, percent: float) -> float | None:
        """The latency in microseconds that `percent` of the messages stayed at or under; None when there were none."""
        if self.total == 0:
            return None
        wanted = self.total * percent / 100
        seen = 0
        for index, count in enumerate(self.counts):
            seen += count
            if count and seen >= wanted:
                return min(middle(index), float(self.largest))
        return float(self.largest)


def middle(index: int) -> float:
    """The middle of the bucket `index`, in microseconds."""
    shift = (index >> SUB_BITS) - 1
    if shift <= 0:
        return float(index)
    low = (index - (shift << SUB_BITS)) << shift
    return low + ((1 << shift) - 1) / 2
