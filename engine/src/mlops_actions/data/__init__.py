"""Any table in, typed rows out: files, sources, the schema, values, DuckDB, and the prediction log's format."""
