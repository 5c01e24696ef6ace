"""The pictures of the pages in docs/, each made by a command: none is drawn by hand."""
