"""The board: a page of every optimizer of a release on a suite, in groups.

`groups` has what it says in rows, `page` the page, and `figures` its figures.
"""
