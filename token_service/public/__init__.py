"""What people see: pages, their templates and style, and live progress."""
