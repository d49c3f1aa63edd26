"""Chaos: a cluster of real processes that are killed, stopped and cut off while others write."""
