"""Command lines and environments at random: a child, a page or one line, and nothing else."""
