"""What the stand-in's Procore does, whoever asks: pages and REST both call these functions.

Every operation is a plain function `operation(world, actor, ..., keywords)`. It checks the acting
user's permission, raises a `sandbox.procore.errors.Refusal` (with the API's status and words) or
changes the state, raises the webhook events and returns the new state, all in one transaction.
The package docstring of `sandbox.procore` lists them.
"""
