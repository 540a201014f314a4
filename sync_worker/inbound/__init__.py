"""Inbound: look at a record in Procore, translate it, put it into Part3."""
