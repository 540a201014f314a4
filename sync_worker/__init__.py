"""Sync workers: mirror Procore's records into Part3, and bring returns to Procore.

`consume` turns notices into rows of work; `inbound/` looks, translates and puts; `outbound/`
checks, delivers and reads back; `sweeping` lists what changed. All of it may run in any worker: the
rows are claimed under leases.
"""
