"""Selection: which model, which method, how many labels; answered from evidence on these data."""
