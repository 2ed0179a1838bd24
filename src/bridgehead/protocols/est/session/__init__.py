"""HTTP/1.1 as a machine without a socket."""
