"""What is told of a rehearsal. One module a form, each with ``render``, which takes the runs."""
