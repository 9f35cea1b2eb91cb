"""The engine: tensors that record what is done to them, and the walk back through the record.

READ THIS FIRST, in this order:

1. `record.py`: what is recorded of an applied function, and which records lie behind one.
2. `recording.py`: who is handed an operation: the recorder, nobody (`no_grad`), an observer, or a trace.
3. `primitives.py`: the table: a function with its derivative rules. `reads.py`: what a rule reads, by the names of its
   parameters.
4. `engine.py`: the walk back, which is the chain rule.
5. `tensor.py`: `Tensor`, an array with its record and its gradient.
6. `operators.py`: Python's operators, and NumPy's protocols. `methods.py`: the methods of `ndarray`.
7. `conversion.py`: which data tensors take. `broadcasting.py`: how broadcasting is undone. `assignment.py`: what
   `t[i] = v` and `t += u` do. `views.py`: which tensors change with each other. `keeping.py`: what a record keeps of
   its arguments. `inplace.py`: how changes in place are noticed. `hooks.py`: gradients seen and changed on their way.
   `origin.py`: what a tensor was made of, for losses that compute from it instead. `pausing.py`: `no_grad`.
   `call_site.py`, `positions.py`: the user's file and line. `printing.py`: text for outputs that have no arrows.
   `locks.py`: locks that Ctrl-C does not leave locked.
8. `differentiation.py`: one call of a function with variables in it; `trees.py`: nested lists, tuples and dicts.
   `transforms.py`: `grad`, `elementwise_grad`, `jacobian`, `hessian`, `vjp`, `jvp`, `hvp`, all made of such calls.
   `gradcheck.py`: autograd against numerical gradients.

It imports nothing else of the package. This is the ground on which the rest stands, from the ground up: `pages`;
`autograd`; `rules` and `random`; `functional`; `nn`, `data` and `datasets`; `compiler`, `debug`, `storage` and `plots`;
`optim` and `graph`; `training`. Nothing imports upwards.
"""
