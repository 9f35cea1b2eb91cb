"""The training loop and what belongs to it.

Read in this order: `loop.py` (`fit`: the loop first, its bookkeeping below; `arguments.py` checks what it is given),
`samples.py` (the data, batch by batch), `callbacks.py` (the history, and what is called after each step and epoch),
`checkpoints.py` (stop, and go on to the same bits), `compiled.py` (a step without recording), `page.py` (a training as
a page in the browser).

The top of the house: it may import everything below, and nothing imports it. From the ground up: `autograd`, `rules`,
`functional`, `nn`, then `compiler`, `debug`, `storage` and `plots`, then `optim` and `graph`, then `training`.
"""
