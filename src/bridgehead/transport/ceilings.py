"""How many connections may be open, in all and from one address, and how fast one address may open them."""

from __future__ import annotations

from typing import Final

from bridgehead.core.rates import Rates

SITE: Final = 4  # what an IPv6 /48 may open is so many times what a /64 may


class Ceilings:
    """Counts connections over all listeners that share this object. Both ceilings may be changed at any time.

    A "network" is what `address.network_of` calls so, a "site" what `address.site_of` does. 0 for `per_network` means
    no such ceiling.
    """

    def __init__(self, total: int, per_network: int = 0) -> None:
        self._rates: Final = Rates(0.0, 1.0)
        self._site_rates: Final = Rates(0.0, 1.0)
        self.total = total
        self.per_network = per_network
        self._open = 0
        self._by_network: dict[str, int] = {}

    def __len__(self) -> int:
        """Connections admitted and not released."""
        return self._open

    def __bool__(self) -> bool:
        return True  # with no connection it is there all the same: `ceilings or Ceilings(...)` must not replace it

    def limit_rate(self, rate: float, burst: float) -> None:
        """Connections per second of one network, and at once; 0: no limit."""
        self._rates.rate, self._rates.burst = rate, burst
        self._site_rates.rate, self._site_rates.burst = rate * SITE, burst * SITE

    def admit(self, network: str, site: str = "", now: float = 0.0) -> str:
        """ "" when one more is admitted, which release() must give back; else the sentence that refuses it. `now` is
        in seconds of a clock that never goes back."""
        if self._open >= self.total:
            return f"the hub's ceiling of {self.total} connections is reached"
        here = self._by_network.get(network, 0)
        if self.per_network and here >= self.per_network:
            return f"the ceiling of {self.per_network} connections from one address is reached"
        site_here = self._by_network.get(site, 0) if site else 0
        if self.per_network and site_here >= self.per_network * SITE:
            return f"the ceiling of {self.per_network * SITE} connections from one IPv6 /48 is reached"
        if not self._rates.take(network, now) or (site and not self._site_rates.take(site, now)):
            return "connections from this address come faster than limits.connection_rate"
        if site:
            self._by_network[site] = site_here + 1
        self._open += 1
        self._by_network[network] = here + 1
        return ""

    def release(self, network: str, site: str = "") -> None:
        self._open -= 1
        self._give_back(network)
        if site:
            self._give_back(site)

    def _give_back(self, network: str) -> None:
        left = self._by_network[network] - 1
        if left:
            self._by_network[network] = left
        else:
            del self._by_network[network]
