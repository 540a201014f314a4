"""The internal port: access tokens and connections, for our own services alone."""
