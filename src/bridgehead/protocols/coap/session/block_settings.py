"""Limits and times of block-wise transfer. Defaults are those of RFC 9177 section 7.2 where it names one."""

from __future__ import annotations

from mypy_extensions import mypyc_attr


@mypyc_attr(allow_interpreted_subclasses=True)
class BlockSettings:
    """Times are in seconds, sizes in octets. The ceilings of requests hold apart for addresses that are proven and for
    those that are not, so that whoever forges addresses disturbs only others that have proven nothing either."""

    def __init__(self) -> None:
        self.body: int = 1_048_576  # of one request, all its blocks together
        self.bodies: int = 4  # of one peer under way at a time, in each direction
        self.gathered: int = 67_108_864  # of requests that are not whole yet, of all proven peers together
        self.gathered_unproven: int = 8_388_608  # the same of peers that are not proven
        self.served: int = 67_108_864  # of answers that are fetched block by block, of all peers together
        self.gather_time: float = 247.0  # after its last block an incomplete request is forgotten (EXCHANGE_LIFETIME)
        self.serve_time: float = 247.0  # after that an answer is made anew, or has to be asked for again
        self.fetch_patience: float = 8.0  # who fetches no block of a notification for so long wants no more of it
        # RFC 9177.
        self.robust: bool = True  # take Q-Block1 and Q-Block2; else they are unknown critical options
        self.max_payloads: int = 10
        self.non_timeout: float = 2.0
        self.non_random_factor: float = 1.5
        self.non_max_retransmit: int = 4
        self.non_receive_timeout: float = 4.0
        self.finished_time: float = 145.0  # a Request-Tag that is through is known for so long (NON_LIFETIME)
