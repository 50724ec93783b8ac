"""The report: one page without network that shows the results in a folder.

- `sources`: the traces, tables and runs of the folder.
- `results`, `provenance`, `parameters`: sections as elements of HTML.
- `explorer`, `animation`: the data of the interactive parts.
- `page`: the whole page, from the files in `template/`.
- `markup`: elements of HTML, which escape their text.
"""
