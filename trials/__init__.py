"""Trials that try pyinit harder and longer than the tests do: each module is a command."""
