"""The rules read by symbols: derivations as source and formulas, and programs that run them in memory allocated once.

Read in this order: `lines.py` and `tracing.py` (a function is run on symbols, and a trace writes down its lines;
`simplified.py` has what it leaves out, `refusals.py` what it refuses), `derivation.py` (the forward lines, and the
backward lines that the rules write behind them). Then how they run: `parts.py` (sums of parts), `lifetimes.py` (whose
memory is needed until when), `emission.py` (what each line becomes), `program.py` (a program for each kind of
inputs). Then how they run in threads: `placing.py` (what lines do with the rows of a batch), `blocks.py` (blocks of
rows), `threads.py`. Then how they are printed: `writer.py` (lines as expressions), `notation.py` and `latex.py` (the
tables for Python and for formulas), `helpers.py` (functions that a printed derivation calls), `source.py` (the whole
module), `rows.py` and `trial.py` (for any number of rows), `derive.py` (`tg.derive`). How a page gets them to run
them itself: `exported.py`.

May import `autograd`, `rules`, `functional`, `nn` and `random`.
"""
