"""The first look at the data, and the search for better parameters."""
