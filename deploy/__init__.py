"""How the connector is put to work: on a newcomer's machine, and in production."""
