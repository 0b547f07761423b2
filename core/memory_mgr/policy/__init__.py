"""Pure decisions: records and a clock in, plans out."""
