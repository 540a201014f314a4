"""People's authority over Procore: who authorized, what is connected, and the pages for both."""
