"""Tests of names, filters, routes, retained messages and permissions."""
