"""The operators' command, `connector`: bring the service up, look at it, mend it."""
