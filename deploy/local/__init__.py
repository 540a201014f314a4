"""A real Kafka and PostgreSQL, and the programs beside them, on any machine with Python."""
