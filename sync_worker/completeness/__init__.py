"""Is everything there: both sides compared in full, our own writes counted, what differs mended."""
