"""The code that runs after the child has started; each import is guarded: files may be gone."""
