"""Self-contained pages: the templates, and what they show of arrays."""
