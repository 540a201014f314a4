"""`connector probe`: asks a real Procore sandbox what its documentation leaves open.

`unknowns` holds the questions, what we assume and what rests on it; `asks_…` are the ways to find
out, a few questions each; `probing` runs them in order; `report` writes what was found.
"""
