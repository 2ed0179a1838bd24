"""Tests of the SASL mechanisms, of tokens and of one-time passwords."""
