"""How many connections may be open: in all, and from one address."""

from __future__ import annotations


class Ceilings:
    """Counts connections over all listeners that share this object. Both ceilings may be changed at any time.

    A "network" is what `address.network_of` calls so. 0 for `per_network` means no such ceiling.
    """

    def __init__(self, total: int, per_network: int = 0) -> None:
        self.total = total
        self.per_network = per_network
        self._open = 0
        self._by_network: dict[str, int] = {}

    def __len__(self) -> int:
        """Connections admitted and not released."""
        return self._open

    def __bool__(self) -> bool:
        return True  # with no connection it is there all the same: `ceilings or Ceilings(...)` must not replace it

    def admit(self, network: str) -> str:
        """ "" when one more is admitted, which release() must give back; else the sentence that refuses it."""
        if self._open >= self.total:
            return f"the hub's ceiling of {self.total} connections is reached"
        here = self._by_network.get(network, 0)
        if self.per_network and here >= self.per_network:
            return f"the ceiling of {self.per_network} connections from one address is reached"
        self._open += 1
        self._by_network[network] = here + 1
        return ""

    def release(self, network: str) -> None:
        self._open -= 1
        left = self._by_network[network] - 1
        if left:
            self._by_network[network] = left
        else:
            del self._by_network[network]
