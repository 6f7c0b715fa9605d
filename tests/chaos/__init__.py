"""Chaos: a cluster under load whose processes are killed at random instants, and what must hold afterwards."""
