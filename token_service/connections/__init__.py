"""Connections: the steps to one, its store, its hook."""
