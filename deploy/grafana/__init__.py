"""Grafana's dashboard, and a picture of it with a Prometheus's own data."""
