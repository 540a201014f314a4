"""The outside, one module each: Procore, Part3, Kafka, Postgres, telemetry, settings."""
