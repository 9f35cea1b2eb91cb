"""Parameters in files, and to and from PyTorch.

Read in this order: `atomic.py` (how every file is written: whole or not at all), `files.py` (save and load, in `.npz`
and `.safetensors`), `torch.py` (the same parameters as PyTorch has them).

May import `autograd`, `rules`, `functional` and `nn`.
"""
