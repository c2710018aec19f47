"""Scene formats: one reader a file, and a writer where there is one."""
