"""Runs the real deciding and doing of workers and token service under a clock of its own.

Kafka, PostgreSQL, Procore, its login host and Part3 are models in memory, and every fault, delay
and order of events comes from one seed. `python -m simulation --help` tells how to run it.
"""
