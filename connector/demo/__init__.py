"""`connector demo`: the whole system on this machine, and the article's story played on it."""
