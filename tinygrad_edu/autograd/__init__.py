"""The engine: tensors that record what is done to them, and the walk back through the record."""
