"""Where rows come from when they are no file of this project: a URL, or a query to a database."""
