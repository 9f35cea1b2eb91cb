"""Parameters in files, and to and from PyTorch."""
