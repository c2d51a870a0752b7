"""Training: the pure step, the Trainer that runs it, callbacks, sharding."""
