"""What was published, kept in SQL: inspections, events, times nobody saw, minutes; and what is computed of them."""
