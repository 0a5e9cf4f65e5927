"""The first look at the data: what each column is taken for, what the target asks for, and what looks wrong."""
