"""Seeded defects: small changes of the source, each of which one named test must notice."""
