"""Scene formats: one module per format, with a reader and sometimes a writer."""
