-- What is known of a customer after each of their orders: a row for each customer and moment. `history` in params.yaml says
-- which columns these are; until it does, nothing here is run. A row of the data gets the newest of these before its time.
SELECT
    customer,
    ordered_at,
    count(*) OVER past AS orders,
    avg(amount) OVER past AS mean_amount
FROM events
WINDOW past AS (PARTITION BY customer ORDER BY ordered_at)
