"""What crosses our wires, written down for others: OpenAPI, AsyncAPI and JSON Schema.

`make schemas` writes them to `schemas/generated/` from the types of this package.
"""
