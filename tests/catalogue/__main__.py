"""Writes the catalogue's page: `python -m tests.catalogue`."""

from tests.catalogue import page

page.PAGE.write_text(page.render(), encoding="utf-8")
print(page.PAGE)
