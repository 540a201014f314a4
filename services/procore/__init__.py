"""Procore's REST API. Its JSON words end here; past this package there are only our types."""
