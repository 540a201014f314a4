"""People's OAuth grants: sealed, refreshed once at a time, handed out for minutes."""
