"""Where trouble came from: `detect_anomaly`.

Read in this order: `anomaly.py` (the first operation that gives NaN or infinity), `read_only.py` (arrays that cannot be
changed while a record needs them).

May import `autograd`, `rules`, `functional` and `nn`.
"""
