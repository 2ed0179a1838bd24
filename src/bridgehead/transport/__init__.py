"""Sockets: TCP, TLS, Unix, WebSocket."""
