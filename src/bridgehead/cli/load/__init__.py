"""The load generator: raw sockets, one epoll loop, frames made once and counted without being taken apart."""
