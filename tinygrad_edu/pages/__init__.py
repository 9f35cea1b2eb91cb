"""Self-contained pages: the templates, and what they show of arrays.

Read `document.py` (a template with its styles, scripts and data in one file), then `arrays.py` (what is shown of an
array). The templates are the .html, .css and .js files beside them.

Imports nothing of the package; `graph` and `training` fill the pages.
"""
