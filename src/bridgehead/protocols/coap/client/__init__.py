"""The client's side of CoAP: pure machines, and what runs them over the network."""
