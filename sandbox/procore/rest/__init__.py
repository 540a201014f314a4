"""The API host: schemas/contracts/procore.openapi.yaml, over the same domain as the pages."""
