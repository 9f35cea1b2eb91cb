"""The rules read by symbols: derivations in writing, and programs that run them in memory allocated once."""
