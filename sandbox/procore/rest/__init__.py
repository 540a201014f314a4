"""The API host: contracts/procore.openapi.yaml, over the same domain as the pages."""
