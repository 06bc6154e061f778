"""The book in other forms than the site: PDF, EPUB, and an archive for where no network is.

All are made from the built site, so that no notebook runs a second time and all say the same.
"""
